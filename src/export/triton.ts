/**
 * Model repositories of the Triton Inference Server: the configuration of a model, in protobuf's text format. Pure. As its
 * documentation has it (model_configuration.md) for the ONNX Runtime backend.
 */
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import { type WriteError, writeError } from '../disk/error.ts'
import type { DType } from '../ir/dtype.ts'
import type { Graph, ValueInfo } from '../ir/graph.ts'
import { type Dim, isStatic } from '../ir/type.ts'

export interface TritonOptions {
  /** The name that clients ask for; also that of the model's folder. */
  readonly name: string
  /** The most requests that are put into one batch, for models with a batch axis of any size. Absent: 8. */
  readonly maxBatchSize?: number
}

/** Files of a repository: where the model goes, and the configuration beside its version. */
export interface TritonFiles {
  readonly model: (file: string) => string
  readonly config: { readonly name: string; readonly text: string }
  /** 0 where the model has no batch axis of any size: Triton then sends requests as they come. */
  readonly maxBatchSize: number
}

const dataTypes: Readonly<Partial<Record<DType, string>>> = {
  float32: 'TYPE_FP32',
  float16: 'TYPE_FP16',
  bfloat16: 'TYPE_BF16',
  float64: 'TYPE_FP64',
  bool: 'TYPE_BOOL',
  string: 'TYPE_STRING',
  uint8: 'TYPE_UINT8',
  uint16: 'TYPE_UINT16',
  uint32: 'TYPE_UINT32',
  uint64: 'TYPE_UINT64',
  int8: 'TYPE_INT8',
  int16: 'TYPE_INT16',
  int32: 'TYPE_INT32',
  int64: 'TYPE_INT64',
}

const usualBatch = 8

/** An input or output as Triton sees it. */
interface Port {
  readonly name: string
  readonly type: string
  readonly shape: ReadonlyArray<Dim>
  readonly isOptional: boolean
}

const portOf = ({ name, type }: ValueInfo, graph: Graph, what: 'input' | 'output'): E.Either<WriteError, Port> => {
  const help = 'Leave --triton out, or export the model with tensors of known rank and of a type that Triton has.'
  const subject = `${what} ${name}`
  if (type.kind !== 'tensor') return E.left(writeError(subject, 'a tensor', 'a value of another kind', help))
  const { dtype, shape } = type
  const known = dataTypes[dtype]
  if (known === undefined) return E.left(writeError(subject, 'a type that Triton has', dtype, help))
  if (shape === undefined) return E.left(writeError(subject, 'a tensor of known rank', 'one of any rank', help))
  return E.right({ name, type: known, shape, isOptional: graph.defaults.has(name) })
}

/** The symbol that is the first size of everything: the batch. */
const batchOf = (ports: ReadonlyArray<Port>): string | undefined => {
  const first = ports[0]?.shape[0]
  return typeof first === 'string' && ports.every(({ shape }) => shape[0] === first) ? first : undefined
}

/** A string of protobuf's text format. */
const quoted = (text: string): string => {
  const bytes = [...new TextEncoder().encode(text)]
  const plain = (byte: number): boolean => byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c
  const escaped = (byte: number): string =>
    plain(byte) ? String.fromCharCode(byte) : `\\${byte.toString(8).padStart(3, '0')}`
  return `"${bytes.map(escaped).join('')}"`
}

const printPort = (field: string, { name, type, shape, isOptional }: Port, hasBatch: boolean): string => {
  const sizes = shape.slice(hasBatch ? 1 : 0).map((size) => (isStatic(size) ? size : -1))
  return [
    `${field} {`,
    `  name: ${quoted(name)}`,
    `  data_type: ${type}`,
    // Triton wants one size at least; `reshape` says what the model has.
    ...(sizes.length > 0 ? [`  dims: [ ${sizes.join(', ')} ]`] : ['  dims: [ 1 ]', '  reshape { shape: [ ] }']),
    ...(isOptional ? ['  optional: true'] : []),
    '}',
  ].join('\n')
}

/**
 * The files of the model `graph` in a repository. Where everything has the same symbol as its first size, Triton puts
 * requests together into batches.
 *
 * Errors: a name that is none of a folder, a batch size for a model without such an axis, inputs or outputs that Triton
 * cannot say.
 */
export const tritonFiles = (graph: Graph, { name, maxBatchSize }: TritonOptions): E.Either<WriteError, TritonFiles> => {
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(name)) {
    const help = 'Give a name such as resnet50.'
    return E.left(writeError('--triton', 'letters, digits, _, - and .', JSON.stringify(name), help))
  }
  return pipe(
    E.Do,
    E.bind('inputs', () => E.traverseArray((one: ValueInfo) => portOf(one, graph, 'input'))(graph.inputs)),
    E.bind('outputs', () => E.traverseArray((one: ValueInfo) => portOf(one, graph, 'output'))(graph.outputs)),
    E.chain(({ inputs, outputs }) => {
      const batch = batchOf([...inputs, ...outputs])
      if (batch === undefined && maxBatchSize !== undefined) {
        const help = 'Leave --max-batch-size out, or export the model with a dynamic batch axis.'
        return E.left(
          writeError(
            '--max-batch-size',
            'a model whose inputs and outputs share a first size of any number',
            'none',
            help,
          ),
        )
      }
      const size = batch === undefined ? 0 : (maxBatchSize ?? usualBatch)
      const text = [
        `name: ${quoted(name)}`,
        'backend: "onnxruntime"',
        `max_batch_size: ${size}`,
        ...inputs.map((port) => printPort('input', port, size > 0)),
        ...outputs.map((port) => printPort('output', port, size > 0)),
        ...(size > 1 ? ['dynamic_batching { }'] : []),
        '',
      ].join('\n')
      return E.right({
        model: (file: string) => `${name}/1/${file}`,
        config: { name: `${name}/config.pbtxt`, text },
        maxBatchSize: size,
      })
    }),
  )
}
