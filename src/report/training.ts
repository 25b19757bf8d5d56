/** What a training run came to, as plain data. */
import type { CompileReport, Totals } from '../passes/compile.ts'
import type { Measurement } from '../run/measure.ts'
import { quartiles } from '../run/statistics.ts'
import type { History } from '../train/loop/history.ts'
import type { Recipe } from '../train/recipe/recipe.ts'
import type { Soup, TriedIngredient } from '../train/soup/soup.ts'

/** One network of the run as an ONNX model. */
export interface NetworkFigures {
  /** `dense`: before anything was masked; `masked`: as it was trained; `compiled`: the package. */
  readonly name: 'dense' | 'masked' | 'compiled'
  /** Where its weights come from, or what is done to it. */
  readonly about: string
  /** Over the test images, a fraction of 1; absent where the weights mean nothing. */
  readonly accuracy?: number
  readonly parameters: number
  /** Parameters that are not 0. */
  readonly nonZero: number
  /** Multiply-accumulates for one image. */
  readonly macs: number
  /** Of the ONNX file. */
  readonly bytes: number
  readonly speed: Measurement
}

/** One layer in the dense network, when training ended, and compiled. */
export interface LayerWidths {
  readonly layer: string
  /** Output channels. */
  readonly dense: number
  readonly trained: number
  readonly compiled: number
  readonly denseInputs: number
  /** Multiply-accumulates for one image. */
  readonly macs: { readonly dense: number; readonly compiled: number }
  /** Weights that are not 0 when training ended, as a fraction of those of the dense layer. */
  readonly density: number
}

/** What validation said after an epoch. */
export interface Validated {
  readonly epoch: number
  /** A fraction of 1. */
  readonly accuracy: number
  readonly density: number
}

/** A network of a soup, and what its own run said in the end. */
export interface SoupIngredient extends TriedIngredient {
  /** On the test images, a fraction of 1; absent where the run did not say. */
  readonly test?: number
}

/** Where the network is the mean of several: which these are, and what they scored. */
export interface SoupReport extends Omit<Soup, 'graph' | 'masks' | 'ingredients'> {
  readonly ingredients: ReadonlyArray<SoupIngredient>
}

export interface TrainingReport {
  readonly model: string
  readonly data: string
  readonly backend: string
  readonly recipe: Recipe
  readonly networks: ReadonlyArray<NetworkFigures>
  /** Of the dense network. */
  readonly dense: Totals
  /** The epoch of the best validation accuracy, the first of equals, and the last one, whose weights are exported. */
  readonly validation: { readonly best: Validated; readonly last: Validated } | null
  readonly widths: ReadonlyArray<LayerWidths>
  /** Test images, and how many of them the masked and the compiled network put into different classes. */
  readonly test: { readonly images: number; readonly differing: number }
  readonly history: History
  readonly soup?: SoupReport
}

/** The epochs that count in a history; null before the first one has ended. */
export const validationOf = (history: History): TrainingReport['validation'] => {
  const epochs = history.flatMap((entry): ReadonlyArray<Validated> =>
    entry.kind === 'epoch' ? [{ epoch: entry.epoch, accuracy: entry.validation.accuracy, density: entry.density }] : [],
  )
  const [first, last] = [epochs[0], epochs.at(-1)]
  if (first === undefined || last === undefined) return null
  return { best: epochs.reduce((best, one) => (one.accuracy > best.accuracy ? one : best), first), last }
}

/**
 * A report on compiling with what was before taken from the dense network, not from what training had left of it. Masks that
 * take no effect are those of a user who expects one; a training's are as they are. Times that are predicted are those of what training
 * had left, and measured ones follow.
 */
export const againstDense = (
  { predicted: _ofTrained, ...report }: CompileReport,
  { dense, widths }: TrainingReport,
): CompileReport => {
  const known = new Map(widths.map((layer) => [layer.layer, layer]))
  return {
    ...report,
    before: dense,
    idleMasks: [],
    layers: report.layers.map((layer) => {
      const was = known.get(layer.layer)
      if (was === undefined) return layer
      return {
        ...layer,
        inputs: { ...layer.inputs, before: was.denseInputs },
        outputs: { ...layer.outputs, before: was.dense },
        macs: { ...layer.macs, before: was.macs.dense },
      }
    }),
  }
}

/** A measurement beside another one of the same rounds than the first. */
export const versus = (measurement: Measurement, reference: Measurement): Measurement => ({
  ...measurement,
  speedup: quartiles(measurement.repeats.map((ms, round) => (reference.repeats[round] ?? NaN) / ms)),
})
