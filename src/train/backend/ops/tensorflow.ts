/** TensorFlow operators that TensorFlow.js itself does not call. */
import { invariant } from '../../../ir/failure.ts'
import type { Core, Tensor } from '../tensor.ts'
import type { BasicOps, FusedOps } from './types.ts'

/** What is used of the backend's own interface, which is not part of the packages that we load types of. */
interface TensorFlow {
  readonly binding: Readonly<Record<string, number>>
  readonly executeMultipleOutputs: (
    name: string,
    attributes: ReadonlyArray<object>,
    inputs: ReadonlyArray<Tensor>,
    outputs: number,
  ) => Tensor[]
}

const isTensorFlow = (backend: object): backend is TensorFlow =>
  'binding' in backend && 'executeMultipleOutputs' in backend

type Attribute = readonly [name: string, type: 'FLOAT' | 'BOOL' | 'STRING', value: number | boolean | string]

export const tensorflowOps = (core: Core, ops: BasicOps): Pick<FusedOps, 'normalizeColumns' | 'reluGradient'> => {
  const call = (
    name: string,
    types: ReadonlyArray<string>,
    attributes: ReadonlyArray<Attribute>,
    inputs: ReadonlyArray<Tensor>,
    outputs: number,
  ): ReadonlyArray<Tensor> => {
    const backend = core.backend()
    invariant(isTensorFlow(backend), 'a TensorFlow backend of another kind')
    const { binding } = backend
    const encoded = attributes.map(([attribute, type, value]) => ({
      name: attribute,
      type: binding[`TF_ATTR_${type}`],
      value,
    }))
    const floats = types.map((type) => ({ name: type, type: binding['TF_ATTR_TYPE'], value: binding['TF_FLOAT'] }))
    return backend.executeMultipleOutputs(name, [...floats, ...encoded], inputs, outputs)
  }
  const first = ([tensor]: ReadonlyArray<Tensor>): Tensor => {
    invariant(tensor !== undefined, 'an operator without output')
    return tensor
  }
  return {
    normalizeColumns: (x, scale, shift, epsilon) => {
      const [columns = 1] = scale.shape
      const count = x.size / columns
      // To reshape is an operation here like any other: images are taken as they are.
      const isImage = x.rank === 4
      const image = isImage ? x : ops.reshape(x, [count, 1, 1, columns])
      const none = ops.tensor(new Float32Array(), [0])
      const attributes: ReadonlyArray<Attribute> = [
        ['epsilon', 'FLOAT', epsilon],
        ['data_format', 'STRING', 'NHWC'],
        ['is_training', 'BOOL', true],
      ]
      const types = ['T', 'U']
      const results = call('FusedBatchNormV3', types, attributes, [image, scale, shift, none, none], 6)
      const [y, mean, sampleVariance, ...reserved] = results
      invariant(
        y !== undefined && mean !== undefined && sampleVariance !== undefined,
        'FusedBatchNormV3 without output',
      )
      return {
        y: isImage ? y : ops.reshape(y, x.shape),
        mean,
        // TensorFlow divides by one less than the number of rows.
        variance: ops.affine(sampleVariance, (Math.max(count, 2) - 1) / Math.max(count, 2), 0),
        saved: isImage ? reserved : [image, ...reserved],
        gradient: (dy) => {
          const gradient = isImage ? dy : ops.reshape(dy, image.shape)
          const back = call('FusedBatchNormGradV3', types, attributes, [gradient, image, scale, ...reserved], 5)
          const [dx, dscale, dshift] = back
          invariant(dx && dscale && dshift, 'FusedBatchNormGradV3 without output')
          return [isImage ? dx : ops.reshape(dx, x.shape), dscale, dshift]
        },
      }
    },
    reluGradient: (dy, y) => first(call('ReluGrad', ['T'], [], [dy, y], 1)),
  }
}
