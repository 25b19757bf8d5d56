/** Small models and masks as files, for tests of the command line. */
import { writeFileSync } from 'node:fs'
import * as ops from '../../src/ir/ops/index.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { lower } from '../../src/export/lower.ts'
import { encodeMasks } from '../../src/masks/files.ts'
import { axisMask, type Masks } from '../../src/masks/mask.ts'
import { buildGraph, convNormRelu } from '../builder.ts'
import { right } from '../passes/laws.ts'

/** Convolution, normalisation, Relu, convolution; 16 channels in between, 8 of which {@link netMasks} mask. */
export const net = (sizes: readonly [number | string, number | string] = [8, 8]): Graph =>
  buildGraph({ x: ['N', 3, ...sizes] }, (b) => {
    const hidden = convNormRelu(b, 'a', 'x', [16, 3, 3])
    return [b.op(ops.Conv, [hidden, b.weight('b.weight', [4, 16, 3, 3])], { pads: [1, 1, 1, 1] })]
  })

export const netMasks = (): Masks =>
  new Map([
    [
      'a.weight',
      axisMask(
        [16, 3, 3, 3],
        0,
        Uint8Array.from({ length: 16 }, (_, i) => (i < 8 ? 0 : 1)),
      ),
    ],
  ])

export const writeModel = (path: string, graph: Graph): void => writeFileSync(path, right(lower(graph)).model)

export const writeMasks = (path: string, masks: Masks): void => writeFileSync(path, Buffer.concat(encodeMasks(masks)))
