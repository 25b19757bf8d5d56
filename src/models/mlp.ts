import type { Graph } from '../ir/graph.ts'
import { Flatten } from '../ir/ops/flatten.ts'
import { sizeOf } from '../ir/type.ts'
import { glorotNormal, zeros } from './initial.ts'
import { classifier, linear, relu } from './layers.ts'
import { buildNetwork, type ModelOptions } from './network.ts'

/**
 * Linear layers `fc1`, `fc2`, ... with ReLU between them, on all pixels of the image; `hidden` are their widths. With 300
 * and 100 on images of 28x28 it is LeNet-300-100. Weights start Glorot normal and biases 0 (Frankle and Carbin, arXiv
 * 1803.03635).
 */
export const mlp = (name: string, hidden: ReadonlyArray<number>, options: ModelOptions): Graph =>
  buildNetwork(name, options, (network, input) => {
    const initials = { weight: glorotNormal, bias: zeros }
    let x = network.node(Flatten, 'flatten', [input])
    let inputs = sizeOf(options.shape)
    for (const [i, outputs] of hidden.entries()) {
      x = relu(network, `relu${i + 1}`, linear(network, `fc${i + 1}`, x, [inputs, outputs], initials))
      inputs = outputs
    }
    return classifier(network, `fc${hidden.length + 1}`, x, [inputs, options.classes], initials)
  })
