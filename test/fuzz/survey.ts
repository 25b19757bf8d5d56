/** All mismatches among N programs, each made small, one example for each kind of them. */
import * as fc from 'fast-check'
import { print } from '../../src/ir/print.ts'
import { applyMasks } from '../../src/passes/apply-masks.ts'
import { compile } from '../../src/passes/compile.ts'
import { uniforms } from '../inflate.ts'
import { orThrow } from './differential.ts'
import { asRead, graphOf, optionsOf, type Outcome, type ProgramCase } from './property.ts'
import { randomMasks } from './masks.ts'
import { stepName } from './program.ts'

type Check = (one: ProgramCase) => Promise<Outcome>

const messageOf = async (
  check: Check,
  one: ProgramCase,
  onPass?: (outcome: Outcome) => void,
): Promise<string | undefined> => {
  try {
    const outcome = await check(one)
    onPass?.(outcome)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** Fewer steps, no masks and plainer settings as long as it still fails. */
const shrink = async (check: Check, start: ProgramCase): Promise<ProgramCase> => {
  let best = start
  const end = Date.now() + 60_000
  const attempt = async (next: ProgramCase): Promise<boolean> => {
    if (Date.now() > end || (await messageOf(check, next)) === undefined) return false
    best = next
    return true
  }
  for (let changed = true; changed;) {
    changed = false
    for (let i = best.program.steps.length - 1; i >= 0; i--) {
      const steps = best.program.steps.filter((_, at) => at !== i)
      changed = (await attempt({ ...best, program: { ...best.program, steps } })) || changed
    }
  }
  await attempt({ ...best, kind: 'none' })
  await attempt({ ...best, program: { ...best.program, symbolicBatch: false } })
  await attempt({ ...best, program: { ...best.program, symbolicSizes: false } })
  await attempt({ ...best, program: { ...best.program, heads: false } })
  for (let size = 3; size < best.program.size; size++) await attempt({ ...best, program: { ...best.program, size } })
  for (let channels = 1; channels < best.program.channels; channels++)
    await attempt({ ...best, program: { ...best.program, channels } })
  await attempt({ ...best, magnitude: 0 })
  return best
}

export const survey = async (
  seed: number,
  count: number,
  cases: fc.Arbitrary<ProgramCase>,
  check: Check,
): Promise<void> => {
  const found = new Map<string, number>()
  let [done, smaller, compared, worst] = [0, 0, 0, 0]
  const start = Date.now()
  for (const one of fc.sample(cases, { seed, numRuns: count })) {
    done += 1
    const message = await messageOf(check, one, (outcome) => {
      if (outcome.smaller) smaller += 1
      if (outcome.compared) compared += 1
      worst = Math.max(worst, outcome.worst)
    })
    if (done % 500 === 0) process.stderr.write(`${done} of ${count}, ${((Date.now() - start) / 1000).toFixed(0)} s\n`)
    if (message === undefined) continue
    const small = await shrink(check, one)
    const { program } = small
    const text = (await messageOf(check, small)) ?? ''
    const what = text.includes('became')
      ? /became (NaN|-?Infinity)/.test(text)
        ? 'not finite'
        : 'differs'
      : text.slice(0, 60)
    const key = `${program.dtype} ${what}: ${program.steps.map((s) => stepName(program, s)).join(' ')}`
    found.set(key, (found.get(key) ?? 0) + 1)
    if (found.get(key) !== 1) continue
    console.log(`\n### ${key}\n${JSON.stringify(small)}\n${text}`)
    try {
      const graph = graphOf(program)
      const masks = randomMasks(graph, small.kind, uniforms(program.seed + 2))
      const short = (ir: string): string =>
        ir
          .split('\n')
          .map((line) => line.slice(0, 220))
          .join('\n')
      console.log(short(print(orThrow(applyMasks(graph, masks)), { data: 'full' })))
      console.log(
        short(print(orThrow(compile(asRead(graph, program), masks, optionsOf(small))).graph, { data: 'full' })),
      )
    } catch (error) {
      console.log(String(error))
    }
  }
  console.log(
    `\nseed ${seed}: ${done} pairs of graph and masks, ${smaller} got smaller, ${compared} had something to compare, ` +
      `largest difference ${worst.toPrecision(2)} of what rounding explains, ` +
      `${[...found.values()].reduce((a, n) => a + n, 0)} mismatches, ${((Date.now() - start) / 1000).toFixed(0)} s`,
  )
  for (const [key, n] of [...found].sort((a, b) => b[1] - a[1])) console.log(`${n}\t${key}`)
}
