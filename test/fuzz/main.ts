/**
 * `npm run fuzz -- files …`: made-up files, see `files/main.ts`.
 *
 * `npm run fuzz -- --seed S --count N`: N random graphs under random masks, the masked model in ONNX Runtime against the
 * compiled one; with `--half`, the compiled one against itself in half precision. With `--edges`, programs at the edges of their
 * types (`--types float32,float16,bfloat16,float64`). With `--only attention,stream` all steps are of these kinds, with `--without`
 * none is. A mismatch is shrunk to a minimal program and printed with the command that reproduces it.
 */
import { parseArgs } from 'node:util'
import * as fc from 'fast-check'
import { print } from '../../src/ir/print.ts'
import { applyMasks } from '../../src/passes/apply-masks.ts'
import { compile } from '../../src/passes/compile.ts'
import { toFloat16 } from '../../src/passes/float16/index.ts'
import { uniforms } from '../inflate.ts'
import { orThrow } from './differential.ts'
import { checkHalf, notInHalf } from './half.ts'
import { fuzzFiles } from './files/main.ts'
import { type FloatType, floatTypes } from './numbers.ts'
import { randomMasks } from './masks.ts'
import { survey } from './survey.ts'
import {
  asRead,
  checkProgram,
  edgeCases,
  graphOf,
  optionsOf,
  type Outcome,
  type ProgramCase,
  programCases,
} from './property.ts'

const [what, ...options] = process.argv.slice(2)
if (what === 'files') process.exit((await fuzzFiles(options)) === 0 ? 0 : 1)

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    count: { type: 'string', default: '1000' },
    path: { type: 'string' },
    edges: { type: 'boolean', default: false },
    half: { type: 'boolean', default: false },
    without: { type: 'string', default: '' },
    only: { type: 'string', default: '' },
    survey: { type: 'boolean', default: false },
    types: { type: 'string', default: floatTypes.join(',') },
  },
})
const [seed, count] = [Number(values.seed), Number(values.count)]
// What goes to half precision is float32.
const [first = 'float32', ...others] = (values.half ? 'float32' : values.types)
  .split(',')
  .flatMap((t): FloatType[] => floatTypes.filter((f) => f === t))
const named = (list: string): ReadonlyArray<string> => list.split(',').filter((name) => name !== '')
const selection = { without: [...named(values.without), ...(values.half ? notInHalf : [])], only: named(values.only) }
let done = 0
let shrunk = 0
let compared = 0
let worst = 0
const start = Date.now()
const countOne = (outcome: Outcome): void => {
  done += 1
  if (outcome.smaller) shrunk += 1
  if (outcome.compared) compared += 1
  worst = Math.max(worst, outcome.worst)
  if (done % 500 === 0) process.stderr.write(`${done} of ${count}, ${((Date.now() - start) / 1000).toFixed(0)} s\n`)
}
const parameters = { seed, numRuns: count, ...(values.path === undefined ? {} : { path: values.path }) }

/** The graph and what became of it, for a report. */
const show = (given: ProgramCase): void => {
  const { program, kind } = given
  const graph = graphOf(program)
  const masks = randomMasks(graph, kind, uniforms(program.seed + 2))
  console.log(print(orThrow(applyMasks(graph, masks)), { data: 'full' }))
  const compiled = orThrow(compile(asRead(graph, program), masks, optionsOf(given))).graph
  console.log(print(compiled, { data: 'full' }))
  if (values.half) console.log(print(orThrow(toFloat16(compiled)).graph, { data: 'full' }))
}
const failed = (result: fc.RunDetails<[ProgramCase]>, flags: string): void => {
  console.log(JSON.stringify(result.counterexample))
  console.log(result.errorInstance instanceof Error ? result.errorInstance.message : String(result.errorInstance))
  console.log(
    `reproduce: npm run fuzz -- --seed ${seed} --count ${count} --path ${result.counterexamplePath ?? ''}${flags}`,
  )
  const [one] = result.counterexample ?? []
  if (one !== undefined) show(one)
  process.exitCode = 1
}
const check = values.half ? checkHalf : checkProgram
const cases = values.edges ? edgeCases([first, ...others], selection) : programCases(selection)
if (values.survey) await survey(seed, count, cases, check)
else {
  const result = await fc.check(
    fc.asyncProperty(cases, async (one) => countOne(await check(one))),
    parameters,
  )
  if (result.failed)
    failed(result, `${values.half ? ' --half' : ''}${values.edges ? ` --edges --types ${values.types}` : ''}`)
  else
    console.log(
      `seed ${seed}: ${done} pairs of graph and masks, ${shrunk} got smaller, ${compared} had something to compare, ` +
        `largest difference ${worst.toPrecision(2)} of what rounding explains, no mismatch`,
    )
}
