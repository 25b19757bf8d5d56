import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { drawsFrom, seededRandom } from '../../../src/ir/random.ts'
import { encodeSafetensors } from '../../../src/masks/safetensors.ts'
import { train } from '../../../src/train/index.ts'
import { backendName, busyChase, recipeOf, right, tinyData, tinyResNet } from './fixtures.ts'

const folder = mkdtempSync(join(tmpdir(), 'chasec-kill-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const kills = Number(process.env['KILLS'] ?? 4)

/** Seven steps each; the kills together see about half of them. */
const epochs = Math.max(12, 2 * kills)

const script = fileURLToPath(new URL('child.ts', import.meta.url))

interface Ended {
  readonly steps: ReadonlyArray<number>
  readonly signal: NodeJS.Signals | null
  readonly code: number | null
}

/** Runs the child; kills it `delay` milliseconds after it has told of `steps` steps. */
const runChild = (path: string, result: string, killed?: { readonly steps: number; readonly delay: number }) =>
  new Promise<Ended>((resolve) => {
    const child = spawn(process.execPath, ['--import', 'tsx', script, path, result, String(epochs)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let text = ''
    let doomed = false
    const steps = (): ReadonlyArray<number> => text.split('\n').slice(0, -1).map(Number)
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      if (killed === undefined || doomed || steps().length < killed.steps) return
      doomed = true
      setTimeout(() => child.kill('SIGKILL'), killed.delay)
    })
    child.on('close', (code, signal) => resolve({ steps: steps(), signal, code }))
  })

describe('kill -9', () => {
  it(
    'at any moment loses at most the steps since the last checkpoint, and nothing of the result',
    async () => {
      const recipe = recipeOf(busyChase(), { epochs })
      const { graph } = right(await train(tinyResNet(), tinyData, recipe, { backend: backendName })())
      const unbroken = Buffer.concat(encodeSafetensors(graph.constants))
      const [path, result] = [join(folder, 'checkpoint.safetensors'), join(folder, 'result.safetensors')]
      const draws = drawsFrom(seededRandom(Number(process.env['SEED'] ?? 20)))
      let reached = 0
      for (let kill = 0; kill < kills; kill++) {
        const killed = { steps: 1 + draws.below(Math.floor((3.5 * epochs) / kills)), delay: draws.below(40) }
        const { steps, signal } = await runChild(path, result, killed)
        expect(signal).toBe('SIGKILL')
        // A step is told of before the checkpoint that every second one is followed by.
        expect(steps[0]).toBeGreaterThanOrEqual(Math.max(1, reached % 2 === 0 ? reached - 1 : reached))
        expect(steps[0]).toBeLessThanOrEqual(reached + 1)
        reached = steps.at(-1) ?? reached
      }
      const { steps, code } = await runChild(path, result)
      expect(code).toBe(0)
      expect(steps[0]).toBeGreaterThan(1)
      expect(steps.at(-1)).toBe(7 * epochs)
      expect(readFileSync(result).equals(unbroken)).toBe(true)
    },
    // However busy the machine is: a run that hangs is for whoever runs the tests to end.
    0,
  )
})
