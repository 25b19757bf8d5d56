/** A trained classifier made to fit other images: their size, the order of their axes, their classes. */
import * as E from 'fp-ts/lib/Either.js'
import type { Failure } from '../../ir/failure.ts'
import { type Graph, makeGraph } from '../../ir/graph.ts'
import { type Choice, wrongOption } from '../../ir/options.ts'
import { isStatic, unknownType } from '../../ir/type.ts'
import { runPipeline } from '../../passes/pass.ts'
import { cleanUp } from '../../passes/pipeline.ts'
import type { ImageShape } from '../data/index.ts'
import { type AdaptError, adaptError } from './error.ts'
import { type Head, heads, withHead } from './head.ts'
import { withImages } from './images.ts'

export type { AdaptError } from './error.ts'
export { type Head, heads } from './head.ts'

export interface AdaptOptions {
  /**
   * Whether the classifier stays (`keep`), its last layer is a new one (`last`), or there is a new one behind the means of the last
   * images of features (`pooled`).
   */
  readonly head: Head
  /** How many classes the data has. May be absent where the head stays. */
  readonly classes?: number
  /** Channels, height and width of the images. Absent: those that the network takes. */
  readonly shape?: ImageShape
  /** Decides the new weights. Absent: 0. */
  readonly seed?: number
}

const optionChoices: Readonly<Record<keyof AdaptOptions, Choice>> = {
  head: heads,
  classes: 'any',
  shape: 'any',
  seed: 'any',
}

const isSize = (n: number): boolean => Number.isSafeInteger(n) && n > 0

const optionProblem = (options: AdaptOptions): AdaptError | undefined => {
  const wrong = wrongOption('AdaptError', options, optionChoices)
  if (wrong !== undefined) return wrong
  const { head, classes, shape } = options
  if (head !== 'keep' && classes === undefined) {
    return adaptError('classes', `a number beside head ${head}`, 'none', 'Take as many as the data has.')
  }
  const found = [...(classes === undefined ? [] : [classes]), ...(shape ?? [])].find((n) => !isSize(n))
  if (found === undefined) return undefined
  return adaptError('classes and shape', 'positive whole numbers', `${found}`, 'Take the numbers from the data set.')
}

/**
 * The classifier `graph` for images and classes of other data, its weights but the new ones as they are: with one input
 * `float32[N, channels, height, width]` and one output of logits `[N, classes]`. It computes something else than before where
 * the head or the size of the images is another one; it is there to be trained further.
 *
 * Errors: an input that takes no such images, an end that is not understood, sizes that the network does not work on, another
 * number of classes where the head is kept.
 */
export const adaptClassifier = (graph: Graph, options: AdaptOptions): E.Either<Failure, Graph> => {
  const problem = optionProblem(options)
  if (problem !== undefined) return E.left(problem)
  const { head, classes, shape, seed = 0 } = options
  const clean = runPipeline(cleanUp, graph)
  if (E.isLeft(clean)) return clean
  const ended = withHead(clean.right, head, { classes: classes ?? 0, seed })
  if (E.isLeft(ended)) return ended
  const { output, ...changed } = ended.right
  const { irVersion } = graph.preserved
  const classified = made({
    ...{ ...clean.right, ...changed, hints: new Map() },
    outputs: [{ name: output, type: unknownType }],
    // What else was said of the old model is not true of this one.
    preserved: { irVersion, model: new Uint8Array(), uses: [] },
  })
  if (E.isLeft(classified)) return classified
  const entered = withImages(classified.right, shape)
  if (E.isLeft(entered)) return entered
  const { input, ...rest } = entered.right
  const adapted = made({ ...classified.right, ...rest, inputs: [input], defaults: new Map() })
  return E.isLeft(adapted) ? adapted : checked(adapted.right, output, classes)
}

/** The graph of parts, cleaned up. */
const made = (parts: Parameters<typeof makeGraph>[0]): E.Either<Failure, Graph> => {
  const graph = makeGraph(parts)
  if (E.isRight(graph)) return runPipeline(cleanUp, graph.right)
  const help = 'Give images of the size that it was trained on, or the head pooled, which fits any.'
  const found = `${graph.left.subject}: ${graph.left.found}`
  return E.left(adaptError(`graph ${parts.name}`, 'a network that works on images of this size', found, help))
}

const checked = (graph: Graph, output: string, classes: number | undefined): E.Either<AdaptError, Graph> => {
  const type = graph.types.get(output)
  const shape = type?.kind === 'tensor' ? type.shape : undefined
  const found = shape?.at(-1)
  const fits = isStatic(found) && (classes === undefined || found === classes)
  if (type !== undefined && shape?.length === 2 && fits) {
    return E.right({ ...graph, outputs: [{ name: output, type }] })
  }
  const help = 'Give head last or pooled for a new classifier of as many classes as the data.'
  const held = shape === undefined ? 'an unknown shape' : `[${shape.join(', ')}]`
  return E.left(adaptError(`output ${output}`, `logits [N, ${classes ?? 'classes'}]`, held, help))
}
