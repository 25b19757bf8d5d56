/** What a selection of channels leaves of each layer, before anything is compiled. */
import type { LayerFacts } from '../../src/passes/inspect.ts'
import type { Overview, Preview } from './messages.ts'

export interface Estimated {
  /** The place in the network. */
  readonly at: number
  readonly facts: LayerFacts
  readonly inputs: { readonly before: number; readonly after: number }
  readonly outputs: { readonly before: number; readonly after: number }
  readonly macs: { readonly before: number; readonly after: number }
  readonly weights: { readonly before: number; readonly after: number }
}

export interface Estimate {
  readonly layers: ReadonlyArray<Estimated>
  /** Of the whole network; what is no layer counts as it is. */
  readonly macs: { readonly before: number; readonly after: number }
  readonly parameters: { readonly before: number; readonly after: number }
}

/** Layers in the order of the network, as masks that were given leave them, and as the selection would. */
export const estimate = (overview: Overview, preview: Preview | undefined): Estimate => {
  const widths = new Map(preview?.widths.map((width) => [width.weight, width]))
  const layers = overview.layers.map((facts, at): Estimated => {
    const { change, shape } = facts
    const width = preview === undefined || preview.channels === 0 ? undefined : widths.get(facts.weight)
    const inputs = change?.inputs ?? width?.inputs ?? { before: 0, after: 0 }
    const outputs = change?.outputs ?? width?.outputs ?? { before: 0, after: 0 }
    const read = { before: inputs.before, after: Math.min(inputs.after, width?.inputs.after ?? inputs.after) }
    const made = { before: outputs.before, after: Math.min(outputs.after, width?.outputs.after ?? outputs.after) }
    // A depthwise convolution reads one channel for each that it makes.
    const isDepthwise = shape[1] === 1 && read.before === made.before
    const left = share(made) * (isDepthwise ? 1 : share(read))
    const before = change?.macs.before ?? 0
    const count = shape.reduce((n, d) => n * d, 1)
    const compiled = change === undefined ? 0 : change.macs.after
    return {
      at,
      facts,
      inputs: read,
      outputs: made,
      macs: { before, after: Math.min(compiled, before * left) },
      weights: { before: count, after: count * left },
    }
  })
  const gone = (of: 'macs' | 'weights'): number =>
    layers.reduce((n, layer) => n + layer[of].before - layer[of].after, 0)
  return {
    layers,
    macs: { before: overview.before.macs, after: overview.before.macs - gone('macs') },
    parameters: {
      before: overview.before.parameters,
      after: Math.max(0, overview.before.parameters - gone('weights')),
    },
  }
}

const share = ({ before, after }: { readonly before: number; readonly after: number }): number =>
  before === 0 ? 1 : after / before
