import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, it } from 'vitest'
import { lower } from '../../src/export/lower.ts'
import { renderError } from '../../src/ir/failure.ts'
import { encode } from '../../src/onnx/codec.ts'
import { AttributeProto_AttributeType as Type, ModelProtoSchema } from '../../src/onnx/onnx_pb.ts'
import { readModelBytes } from '../../src/read/model.ts'
import { uniforms } from '../inflate.ts'
import { exporterModels, floats, info, modelBytes, node, parse, subgraph } from './make.ts'

/** A model of the repository with its initializers, which have no data, turned into inputs. */
const weightless = (wanted: string): Uint8Array => {
  const model = parse(exporterModels().find(([name]) => name === wanted)?.[1] ?? new Uint8Array())
  const initializers = model.graph?.initializer.splice(0) ?? []
  for (const { name, dims } of initializers) model.graph?.input.push(info(name, dims.map(Number)))
  return encode(ModelProtoSchema, model)
}

const small: ReadonlyArray<readonly [string, Uint8Array]> = [
  [
    'a convolution',
    modelBytes({
      input: [info('x', ['N', 2, 5, 5])],
      output: [info('y', ['N', 2, 3, 3])],
      valueInfo: [info('a', ['N', 2, 3, 3])],
      initializer: [
        {
          ...floats(
            'w',
            Array.from({ length: 36 }, (_, i) => i),
          ),
          dims: [2n, 2n, 3n, 3n],
        },
        floats('b', [1, 2]),
      ],
      node: [
        node('Conv', ['x', 'w', 'b'], ['a'], {
          name: 'conv',
          attribute: [
            { name: 'kernel_shape', type: Type.INTS, ints: [3n, 3n] },
            { name: 'pads', type: Type.INTS, ints: [0n, 0n, 0n, 0n] },
            { name: 'group', type: Type.INT, i: 1n },
          ],
        }),
        node('Relu', ['a'], ['y']),
      ],
    }),
  ],
  [
    'a branch',
    modelBytes({
      input: [info('x'), info('c', [], 'bool')],
      output: [info('y')],
      initializer: [{ name: 'i', dims: [2n], dataType: 7, int64Data: [1n, -1n] }],
      node: [
        node('Reshape', ['x', 'i'], ['r']),
        node('If', ['c'], ['y'], {
          attribute: [
            subgraph('then_branch', { name: 't', node: [node('Neg', ['r'], ['o'])], output: [info('o')] }),
            subgraph('else_branch', { name: 'e', node: [node('Relu', ['x'], ['o'])], output: [info('o')] }),
          ],
        }),
      ],
    }),
  ],
  ['an exporter model, its weights made inputs', weightless('squeezenet1_1.onnx')],
]

/** A copy with one to four bytes changed, removed or put in. */
const mutate = (bytes: Uint8Array, uniform: () => number): Uint8Array => {
  const at = (length: number): number => Math.floor(uniform() * length)
  let out = Uint8Array.from(bytes)
  for (let edits = 1 + at(4); edits > 0; edits--) {
    const index = at(out.byteLength)
    const kind = at(4)
    if (kind === 0) out[index] = at(256)
    else if (kind === 1) out[index] = (out[index] ?? 0) ^ (1 << at(8))
    else if (kind === 2) out = Uint8Array.from([...out.subarray(0, index), ...out.subarray(index + 1)])
    else out = Uint8Array.from([...out.subarray(0, index), at(256), ...out.subarray(index)])
  }
  return out
}

describe('a damaged model', () => {
  it.each(small)('that was %s is read, or refused with an error that says what is wrong', (_, bytes) => {
    const count = bytes.byteLength > 10_000 ? 1000 : 4500
    const uniform = uniforms(1)
    let accepted = 0
    for (let i = 0; i < count; i++) {
      const mutant = mutate(bytes, uniform)
      const started = process.cpuUsage()
      const read = readModelBytes(mutant)
      if (E.isLeft(read)) {
        expect(read.left._tag).toBe('ReadError')
        expect(renderError(read.left)).not.toContain('undefined')
      } else {
        accepted += 1
        // Whatever is accepted can be written, and read again.
        const written = lower(read.right)
        expect(E.isRight(written) && E.isRight(readModelBytes(written.right.model))).toBe(true)
      }
      // Processor time, in microseconds: a busy machine takes no more of it.
      expect(process.cpuUsage(started).user).toBeLessThan(2_000_000)
    }
    expect(accepted).toBeGreaterThan(0)
    expect(accepted).toBeLessThan(count)
  })
})
