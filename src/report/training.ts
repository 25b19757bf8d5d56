/** What a training run came to, as plain data. */
import type { Measurement } from '../run/measure.ts'
import type { History } from '../train/loop/history.ts'
import type { Recipe } from '../train/recipe/recipe.ts'

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

/** Output channels of one layer: in the dense network, when training ended, and compiled. */
export interface LayerWidths {
  readonly layer: string
  readonly dense: number
  readonly trained: number
  readonly compiled: number
}

export interface TrainingReport {
  readonly model: string
  readonly data: string
  readonly backend: string
  readonly recipe: Recipe
  readonly networks: ReadonlyArray<NetworkFigures>
  readonly widths: ReadonlyArray<LayerWidths>
  /** Test images, and how many of them the masked and the compiled network put into different classes. */
  readonly test: { readonly images: number; readonly differing: number }
  readonly history: History
}
