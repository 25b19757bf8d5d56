/**
 * What is left of `chasec compile -o` when it is killed, interrupted, run twice at once, or out of space: the old package or
 * the new one, whole, and every file of the user's. KILLS, PAIRS and SEED say how often, and which moments.
 */
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { drawsFrom, seededRandom } from '../../src/ir/random.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { axisMask } from '../../src/masks/mask.ts'
import { recoverFiles } from '../../src/export/package.ts'
import { buildGraph } from '../builder.ts'
import { chasec, started } from './chasec.ts'
import { writeMasks, writeModel } from './nets.ts'

const folder = mkdtempSync(join(tmpdir(), 'chasec-kill-'))
const at = (...names: ReadonlyArray<string>): string => join(folder, ...names)
const count = (name: string, usual: number): number => Number(process.env[name] ?? usual)
const draws = drawsFrom(seededRandom(count('SEED', 1)))

/** Two results that can be told apart, and how long a run takes. */
const variants = ['a', 'b'] as const
type Variant = (typeof variants)[number]
const compileArgs = (variant: Variant, to: string): ReadonlyArray<string> => [
  ...['compile', 'net.onnx', '--masks', `${variant}.safetensors`],
  ...['--no-verify', '--progress', '--external-data', '-o', to],
]
const whole = new Map<Variant, string>()
let seconds = 0

/** Every file below a folder by its content. */
const contentOf = (path: string): string =>
  readdirSync(path, { recursive: true, withFileTypes: true })
    .map((entry) => {
      const file = join(entry.parentPath, entry.name)
      const content = entry.isFile() ? createHash('sha256').update(readFileSync(file)).digest('hex') : 'no file'
      return `${file.slice(path.length)} ${content}`
    })
    .sort()
    .join('\n')

/** The variant that lies whole in a folder; else what is there. */
const variantAt = (to: string): string => {
  if (!existsSync(at(to))) return 'nothing'
  const content = contentOf(at(to))
  return variants.find((variant) => whole.get(variant) === content) ?? content
}

const besides = (): ReadonlyArray<string> => readdirSync(folder).filter((name) => name.startsWith('.'))

/** Files of the user's in and around the folders that packages are written to. */
const userFiles = (): string => contentOf(at('mine'))

beforeAll(() => {
  const size = 1500
  const graph = buildGraph({ x: ['N', size] }, (b) => {
    const hidden = b.op(ops.Relu, [b.op(ops.MatMul, ['x', b.weight('a', [size, size])])])
    return [b.op(ops.MatMul, [hidden, b.weight('b', [size, size])])]
  })
  writeModel(at('net.onnx'), graph)
  for (const [i, variant] of variants.entries()) {
    const alive = Uint8Array.from({ length: size }, (_, c) => (c % 100 < 10 + 20 * i ? 0 : 1))
    writeMasks(at(`${variant}.safetensors`), new Map([['a', axisMask([size, size], 1, alive)]]))
    const began = performance.now()
    const ran = chasec(compileArgs(variant, variant), { cwd: folder })
    if (ran.code !== 0) throw new Error(ran.stderr)
    seconds = (performance.now() - began) / 1000
    whole.set(variant, contentOf(at(variant)))
  }
  // As a package looks at first sight, and with names of ours all over.
  mkdirSync(at('mine', '.mine.chasec-new-1'), { recursive: true })
  cpSync(at('a'), at('mine', 'changed'), { recursive: true })
  writeFileSync(at('mine', 'changed', 'report.html'), 'mine')
  writeFileSync(at('mine', '.mine.chasec-new-1', 'notes.txt'), 'mine')
  writeFileSync(at('mine', 'chasec.json'), '{}')
  writeFileSync(at('mine', 'model.onnx'), 'mine')
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('chasec compile', () => {
  it('leaves the old package or the new one when it is killed at any moment', async () => {
    const before = userFiles()
    cpSync(at('a'), at('killed'), { recursive: true })
    let last: Variant = 'a'
    let cut = 0
    let amid = 0
    for (let kill = 0; kill < count('KILLS', 8); kill++) {
      const next = last === 'a' ? 'b' : 'a'
      const child = started(compileArgs(next, 'killed'), folder)
      // Half of the moments lie anywhere in the run, half in the part that writes.
      if (kill % 2 === 0) await child.says(/writing/)
      const span = kill % 2 === 0 ? 0.3 * seconds : 1.1 * seconds
      await new Promise((resolve) => setTimeout(resolve, (1000 * span * draws.below(1000)) / 1000))
      child.kill('SIGKILL')
      const { code } = await child.ended
      if (code === null) cut += 1
      if (besides().length > 0) amid += 1
      expect(await recoverFiles(at('killed'))()).toMatchObject({ _tag: 'Right' })
      const found = variantAt('killed')
      expect(code === 0 ? [next] : [last, next]).toContain(found)
      expect(besides()).toEqual([])
      last = found === 'b' ? 'b' : 'a'
    }
    expect(cut).toBeGreaterThan(0)
    console.log(`${count('KILLS', 8)} kills: ${cut} before the end, ${amid} with an unfinished folder`)
    expect(userFiles()).toBe(before)
  })

  it('leaves one whole package when it runs twice at once', async () => {
    for (let pair = 0; pair < count('PAIRS', 2); pair++) {
      const children = variants.map((variant) => started(compileArgs(variant, 'pair'), folder))
      const ended = await Promise.all(children.map((child) => child.ended))
      expect(ended.map(({ code, stderr }) => (code === 0 ? 'done' : stderr))).toEqual(['done', 'done'])
      expect(variants).toContain(variantAt('pair'))
      expect(besides()).toEqual([])
      if (pair % 2 === 0) rmSync(at('pair'), { recursive: true })
    }
  })

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('leaves the old package or the new one, without a trace, on %s while it writes', async (signal, code) => {
    cpSync(at('a'), at(signal), { recursive: true })
    const child = started(compileArgs('b', signal), folder)
    await child.says(/writing/)
    child.kill(signal)
    const ended = await child.ended
    // Once all is written, the process ends as usual, or by the signal itself.
    expect(ended.code === code ? variants : ['b']).toContain(variantAt(signal))
    expect(besides()).toEqual([])
  })

  it('leaves the old package when it may write no file as large as the new one', () => {
    cpSync(at('a'), at('limited'), { recursive: true })
    const limits = [0, 1, 100, 5000]
    for (const limit of limits) {
      const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
      const args = [process.execPath, main, ...compileArgs('b', 'limited')]
      const { status } = spawnSync('bash', ['-c', `ulimit -f ${limit}; exec "$@"`, 'bash', ...args], { cwd: folder })
      expect(status).not.toBe(0)
      expect(variantAt('limited')).toBe('a')
    }
    expect(chasec(compileArgs('b', 'limited'), { cwd: folder }).code).toBe(0)
    expect([variantAt('limited'), besides()]).toEqual(['b', []])
  })

  it.each(['mine', 'mine/changed'])('touches nothing of the user in %s', (to) => {
    const before = userFiles()
    const { code, stderr } = chasec(compileArgs('a', to), { cwd: folder })
    expect(code).toBe(2)
    expect(stderr).toMatch(
      to === 'mine' ? 'other files: .mine.chasec-new-1, changed, chasec.json, model.onnx' : 'report',
    )
    expect(userFiles()).toBe(before)
  })
})

/** A disk of a few megabytes; undefined where none can be made. */
const smallDisk = (bytes: number): { readonly path: string; readonly remove: () => void } | undefined => {
  const path = mkdtempSync(join(tmpdir(), 'chasec-disk-'))
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'none', path]).status === 0
  if (!mounted) {
    rmSync(path, { recursive: true })
    return undefined
  }
  return {
    path,
    remove: () => {
      spawnSync('umount', [path])
      rmSync(path, { recursive: true })
    },
  }
}

describe('a disk that gets full', () => {
  it('leaves the old package, whatever fits beside it', ({ skip }) => {
    const sizeOf = (name: string): number =>
      readdirSync(at(name)).reduce((sum, file) => sum + readFileSync(at(name, file)).byteLength, 0)
    for (const share of [0.01, 0.3, 0.6, 0.9]) {
      const disk = smallDisk(Math.round(sizeOf('a') + share * sizeOf('b')))
      if (disk === undefined) return skip('no disk can be mounted')
      try {
        const target = join(disk.path, 'out')
        cpSync(at('a'), target, { recursive: true })
        const { code, stderr } = chasec(compileArgs('b', target), { cwd: folder })
        expect([code, stderr]).toEqual([2, expect.stringContaining('no space left on device')])
        expect(contentOf(target)).toBe(whole.get('a'))
        expect(readdirSync(disk.path)).toEqual(['out'])
      } finally {
        disk.remove()
      }
    }
  })
})

describe('signals while a package is written', () => {
  const src = (path: string): string => JSON.stringify(new URL(`../../src/${path}.ts`, import.meta.url).href)
  /** Writes a package that never ends; the same signal comes in the midst of it. */
  const program = (target: string): string => `
    import { writeFiles } from ${src('export/package')}
    import { uninterrupted } from ${src('cli/interrupt')}
    async function* endless() {
      for (;;) {
        yield new Uint8Array(1000)
        process.stdout.write('amid\\n')
        await new Promise((resolve) => setTimeout(resolve, 1))
      }
    }
    const files = [{ name: 'model.onnx', chunks: endless() }]
    await uninterrupted((signal) => writeFiles(${JSON.stringify(target)}, files, { signal })())
    process.stdout.write('not reached')`

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s: the unfinished folder goes, the old package stays, the exit code is %d', async (signal, code) => {
    cpSync(at('a'), at('old'), { recursive: true })
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program(at('old'))])
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      if (text === '') child.kill(signal)
      text += chunk
    })
    const ended = await new Promise((resolve) => child.on('close', resolve))
    expect([ended, text.includes('not reached')]).toEqual([code, false])
    expect([variantAt('old'), besides()]).toEqual(['a', []])
  })
})
