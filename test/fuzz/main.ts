/**
 * `npm run fuzz -- --seed S --count N`: N random graphs under random masks, the masked model in ONNX Runtime against the
 * compiled one. A mismatch is shrunk to a minimal program and printed with the command that reproduces it.
 */
import { parseArgs } from 'node:util'
import * as fc from 'fast-check'
import { checkProgram, programCases } from './property.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    count: { type: 'string', default: '1000' },
    path: { type: 'string' },
  },
})
const [seed, count] = [Number(values.seed), Number(values.count)]
let done = 0
let shrunk = 0
let worst = 0
const start = Date.now()
const result = await fc.check(
  fc.asyncProperty(programCases, async (one) => {
    const outcome = await checkProgram(one)
    done += 1
    if (outcome.smaller) shrunk += 1
    worst = Math.max(worst, outcome.worst)
    if (done % 500 === 0) process.stderr.write(`${done} of ${count}, ${((Date.now() - start) / 1000).toFixed(0)} s\n`)
  }),
  { seed, numRuns: count, ...(values.path === undefined ? {} : { path: values.path }) },
)
if (result.failed) {
  console.log(JSON.stringify(result.counterexample, null, 1))
  console.log(result.errorInstance instanceof Error ? result.errorInstance.stack : String(result.errorInstance))
  console.log(`reproduce: npm run fuzz -- --seed ${seed} --count ${count} --path ${result.counterexamplePath ?? ''}`)
  process.exitCode = 1
} else
  console.log(
    `seed ${seed}: ${done} pairs of graph and masks, ${shrunk} got smaller, largest relative error ${worst.toExponential(1)}, no mismatch`,
  )
