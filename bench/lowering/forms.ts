/** Layers with a sparse weight as ONNX operators can compute them: with all its zeros, and in forms that leave them out. */
import type { Graph } from '../../src/ir/graph.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { int64s, tensorOf } from '../../src/ir/tensor.ts'
import { buildGraph, type GraphBuilder } from '../../test/builder.ts'
import { blockSize, elementAt, type Part, type SparseWeight } from './weights.ts'

/** A way to compute a layer. */
export interface Form {
  readonly name: string
  /** Elements of its largest tensor, those of weights aside. */
  readonly largest: number
  readonly graph: () => Graph
}

type Body = (b: GraphBuilder, x: string) => string

/** The values of a tensor of weights, row-major: which input, output and place of the kernel each element is; undefined for 0. */
const weightOf = (
  b: GraphBuilder,
  name: string,
  shape: ReadonlyArray<number>,
  fill: (set: (at: number, input: number, output: number, tap?: number) => void) => void,
): string => {
  const values = new Float32Array(shape.reduce((n, size) => n * size, 1))
  fill((at, input, output, tap = 0) => {
    values[at] = elementAt(input, output, tap)
  })
  return b.constant(name, tensorOf('float32', shape, values))
}

/** The matrix `[inputs, outputs]` of a part, or that transposed; without one of the whole weight, zeros where it is dead. */
const matrixOf = (b: GraphBuilder, name: string, w: SparseWeight, part?: Part, isTransposed = false): string => {
  const [ins, outs] = [part?.inputs.length ?? w.inputs, part?.outputs.length ?? w.outputs]
  return weightOf(b, name, isTransposed ? [outs, ins] : [ins, outs], (set) => {
    for (let o = 0; o < outs; o++) {
      const output = part?.outputs[o] ?? o
      w.live[output]?.forEach((input, i) => {
        const row = part === undefined ? input : i
        set(isTransposed ? o * ins + row : row * outs + o, input, output)
      })
    }
  })
}

const indices = (b: GraphBuilder, name: string, values: Iterable<number>, shape?: ReadonlyArray<number>): string => {
  const list = [...values]
  return b.constant(name, int64s(list, shape ?? [list.length]))
}

const gatherAll = (b: GraphBuilder, x: string, name: string, which: Int32Array, axis: number): string =>
  isWhole(which) ? x : b.op(ops.Gather, [x, indices(b, name, which)], { axis })

const isWhole = (which: Int32Array): boolean => which.every((from, at) => from === at)

/** Where each output lies in what the parts make one after another. */
const placesOf = (w: SparseWeight): Int32Array => {
  const places = new Int32Array(w.outputs)
  let at = 0
  for (const { outputs } of w.parts ?? []) for (const o of outputs) places[o] = at++
  return places
}

const inOrder = (w: SparseWeight): Int32Array =>
  Int32Array.from((w.parts ?? []).flatMap(({ inputs }) => Array.from(inputs)))

const isContiguous = (which: Int32Array): boolean => which.every((x, i) => x === (which[0] ?? 0) + i)

/** Forms of `y = x W`, `x` of `[rows, inputs]`; the first is dense. */
export const productForms = (w: SparseWeight, rows: number): ReadonlyArray<Form> => {
  const { inputs, outputs, parts } = w
  const count = w.live[0]?.length ?? 0
  const form = (name: string, largest: number, body: Body): Form => ({
    name,
    largest,
    graph: () => buildGraph({ x: [rows, inputs] }, (b) => [body(b, 'x')]),
  })
  const near = rows * Math.max(inputs, outputs)
  const forms = [form('MatMul', near, (b, x) => b.op(ops.MatMul, [x, matrixOf(b, 'w', w)]))]
  const zero = (b: GraphBuilder): string =>
    b.constant('zero', tensorOf('float32', [outputs], new Float32Array(outputs)))
  forms.push(form('Gemm', near, (b, x) => b.op(ops.Gemm, [x, matrixOf(b, 'w', w), zero(b)])))
  if (parts === undefined) {
    const wide = rows * outputs * count
    forms.push(
      form('Gather, Mul, ReduceSum', wide, (b, x) => {
        const all = indices(
          b,
          'all',
          w.live.flatMap((some) => Array.from(some)),
          [outputs, count],
        )
        const weight = weightOf(b, 'w', [outputs, count], (set) => {
          w.live.forEach((some, o) => {
            some.forEach((i, at) => {
              set(o * count + at, i, o)
            })
          })
        })
        const read = b.op(ops.Gather, [x, all], { axis: 1 })
        return b.op(ops.ReduceSum, [b.op(ops.Mul, [read, weight]), b.ints('axes', [-1])], { keepdims: 0 })
      }),
      form('Gather, Mul, ReduceSum, inputs first', wide, (b, x) => {
        const all = new Array<number>(outputs * count)
        const weight = weightOf(b, 'w', [count, outputs], (set) => {
          w.live.forEach((some, o) => {
            some.forEach((i, at) => {
              all[at * outputs + o] = i
              set(at * outputs + o, i, o)
            })
          })
        })
        const read = b.op(ops.Gather, [x, indices(b, 'all', all, [count, outputs])], { axis: 1 })
        return b.op(ops.ReduceSum, [b.op(ops.Mul, [read, weight]), b.ints('axes', [1])], { keepdims: 0 })
      }),
      form('Gather, batched MatMul', wide, (b, x) => {
        const all = indices(
          b,
          'all',
          w.live.flatMap((some) => Array.from(some)),
          [outputs, count],
        )
        const weight = weightOf(b, 'w', [outputs, 1, count], (set) => {
          w.live.forEach((some, o) => {
            some.forEach((i, at) => {
              set(o * count + at, i, o)
            })
          })
        })
        const columns =
          rows === 1
            ? b.op(ops.Reshape, [x, b.ints('column', [inputs, 1])])
            : b.op(ops.Transpose, [x], { perm: [1, 0] })
        const read = b.op(ops.Gather, [columns, all], { axis: 0 })
        const made = b.op(ops.MatMul, [weight, read])
        if (rows === 1) return b.op(ops.Reshape, [made, b.ints('row', [1, outputs])])
        return b.op(ops.Transpose, [b.op(ops.Reshape, [made, b.ints('table', [outputs, rows])])], { perm: [1, 0] })
      }),
    )
    const { offsets } = w
    if (offsets !== undefined && inputs <= outputs) {
      forms.push(form('Slice, Mul, Sum', near * 2, (b, x) => diagonalsOf(b, x, w, offsets)))
    }
    return forms
  }
  const backwards = placesOf(w)
  const readInOrder = inOrder(w)
  forms.push(
    form('MatMuls', near, (b, x) => {
      const made = parts.map((part, g) => {
        const read = isContiguous(part.inputs)
          ? b.op(ops.Slice, [x, ...boundsOf(b, g, part), b.ints(`axis${g}`, [1])])
          : b.op(ops.Gather, [x, indices(b, `in${g}`, part.inputs)], { axis: 1 })
        return b.op(ops.MatMul, [read, matrixOf(b, `w${g}`, w, part)])
      })
      return gatherAll(b, b.op(ops.Concat, made, { axis: 1 }), 'back', backwards, 1)
    }),
    form('batched MatMul', Math.max(near, rows * readInOrder.length), (b, x) => {
      const into = readInOrder.length / parts.length
      const weight = batchOf(b, w, parts)
      const read = gatherAll(b, x, 'in', readInOrder, 1)
      if (rows === 1) {
        const rowsOf = b.op(ops.Reshape, [read, b.ints('parts', [parts.length, 1, into])])
        const made = b.op(ops.MatMul, [rowsOf, weight])
        return gatherAll(b, b.op(ops.Reshape, [made, b.ints('whole', [1, outputs])]), 'back', backwards, 1)
      }
      const cut = b.op(ops.Reshape, [read, b.ints('parts', [rows, parts.length, into])])
      const made = b.op(ops.MatMul, [b.op(ops.Transpose, [cut], { perm: [1, 0, 2] }), weight])
      const whole = b.op(ops.Reshape, [
        b.op(ops.Transpose, [made], { perm: [1, 0, 2] }),
        b.ints('whole', [rows, outputs]),
      ])
      return gatherAll(b, whole, 'back', backwards, 1)
    }),
    // The same with channels as rows, of which whole ones are copied.
    form('transposed MatMuls', near, (b, x) => {
      const columns = transposed(b, x, rows, inputs)
      const made = parts.map((part, g) =>
        b.op(ops.MatMul, [
          matrixOf(b, `w${g}`, w, part, true),
          b.op(ops.Gather, [columns, indices(b, `in${g}`, part.inputs)], { axis: 0 }),
        ]),
      )
      return transposed(b, gatherAll(b, b.op(ops.Concat, made, { axis: 0 }), 'back', backwards, 0), outputs, rows)
    }),
    form('transposed batched MatMul', Math.max(near, rows * readInOrder.length), (b, x) => {
      const into = readInOrder.length / parts.length
      const read = gatherAll(b, transposed(b, x, rows, inputs), 'in', readInOrder, 0)
      const cut = b.op(ops.Reshape, [read, b.ints('parts', [parts.length, into, rows])])
      const made = b.op(ops.MatMul, [batchOf(b, w, parts, true), cut])
      const whole = b.op(ops.Reshape, [made, b.ints('whole', [outputs, rows])])
      return transposed(b, gatherAll(b, whole, 'back', backwards, 0), outputs, rows)
    }),
  )
  if (w.structure === 'blocks') {
    const [blocks, read] = [inputs / blockSize, (parts[0]?.inputs.length ?? 0) / blockSize]
    const blocksOf = (part: Part): ReadonlyArray<number> =>
      Array.from(part.inputs)
        .filter((i) => i % blockSize === 0)
        .map((i) => i / blockSize)
    const cut = (b: GraphBuilder, x: string): string =>
      b.op(ops.Reshape, [x, b.ints('blocks', [rows, blocks, blockSize])])
    forms.push(
      form('MatMuls of gathered blocks', near, (b, x) => {
        const [from, flat] = [cut(b, x), b.ints('flat', [rows, read * blockSize])]
        const made = parts.map((part, g) => {
          const some = b.op(ops.Gather, [from, indices(b, `in${g}`, blocksOf(part))], { axis: 1 })
          return b.op(ops.MatMul, [b.op(ops.Reshape, [some, flat]), matrixOf(b, `w${g}`, w, part)])
        })
        return b.op(ops.Concat, made, { axis: 1 })
      }),
      form('batched MatMul of gathered blocks', rows * readInOrder.length, (b, x) => {
        const which = indices(b, 'in', parts.flatMap(blocksOf), [parts.length, read])
        const some = b.op(ops.Gather, [cut(b, x), which], { axis: 1 })
        const first = rows === 1 ? some : b.op(ops.Transpose, [some], { perm: [1, 0, 2, 3] })
        const flat = b.op(ops.Reshape, [first, b.ints('flat', [parts.length, rows, read * blockSize])])
        const made = b.op(ops.MatMul, [flat, batchOf(b, w, parts)])
        const back = rows === 1 ? made : b.op(ops.Transpose, [made], { perm: [1, 0, 2] })
        return b.op(ops.Reshape, [back, b.ints('whole', [rows, outputs])])
      }),
    )
  }
  return forms
}

/** The matrices `[parts, inputs, outputs]` of all parts, or each of them transposed. */
const batchOf = (b: GraphBuilder, w: SparseWeight, parts: ReadonlyArray<Part>, isTransposed = false): string => {
  const [into, outOf] = [parts[0]?.inputs.length ?? 0, w.outputs / parts.length]
  const shape = isTransposed ? [parts.length, outOf, into] : [parts.length, into, outOf]
  return weightOf(b, 'w', shape, (set) => {
    parts.forEach((part, g) => {
      part.inputs.forEach((input, i) => {
        part.outputs.forEach((output, o) => {
          set(isTransposed ? (g * outOf + o) * into + i : (g * into + i) * outOf + o, input, output)
        })
      })
    })
  })
}

/** `[from, to]` as `[to, from]`. */
const transposed = (b: GraphBuilder, x: string, from: number, to: number): string =>
  from === 1 || to === 1
    ? b.op(ops.Reshape, [x, b.ints(`${x}.turned`, [to, from])])
    : b.op(ops.Transpose, [x], { perm: [1, 0] })

const boundsOf = (b: GraphBuilder, g: number, { inputs }: Part): ReadonlyArray<string> => {
  const first = inputs[0] ?? 0
  return [b.ints(`from${g}`, [first]), b.ints(`to${g}`, [first + inputs.length])]
}

/** `Σ_d w_d[o] · x[(o + offset_d) mod inputs]`: what is read of `x` lies side by side in copies of it. */
const diagonalsOf = (b: GraphBuilder, x: string, w: SparseWeight, offsets: ReadonlyArray<number>): string => {
  const { inputs, outputs } = w
  const copies = b.op(ops.Concat, new Array<string>(Math.ceil(outputs / inputs) + 1).fill(x), { axis: 1 })
  const axis = b.ints('axis', [1])
  const terms = offsets.map((offset, d) => {
    const weight = weightOf(b, `w${d}`, [outputs], (set) => {
      for (let o = 0; o < outputs; o++) set(o, (o + offset) % inputs, o)
    })
    const moved = b.op(ops.Slice, [copies, b.ints(`from${d}`, [offset]), b.ints(`to${d}`, [offset + outputs]), axis])
    return b.op(ops.Mul, [moved, weight])
  })
  return terms.length === 1 ? (terms[0] ?? '') : b.op(ops.Sum, terms)
}

/** Channels in front of a convolution that is measured, and behind it: both are made by pointwise ones, as in a network. */
export const channelsAround = 16

/** A weight `[16, outputs]` of a pointwise convolution around the one that is measured. */
const pointwise = (b: GraphBuilder, name: string, outputs: number, inputs: number): string =>
  weightOf(b, name, [outputs, inputs, 1, 1], (set) => {
    for (let o = 0; o < outputs; o++) for (let i = 0; i < inputs; i++) set(o * inputs + i, i, o)
  })

/** Forms of a convolution of an image of `size` x `size`, between two pointwise ones; the first is dense. */
export const convolutionForms = (w: SparseWeight, size: number): ReadonlyArray<Form> => {
  const { inputs, outputs, taps, parts } = w
  const pad = (Math.sqrt(taps) - 1) / 2
  const attrs = { pads: [pad, pad, pad, pad] }
  const form = (name: string, largest: number, body: Body): Form => ({
    name,
    largest,
    graph: () =>
      buildGraph({ x: [1, channelsAround, size, size] }, (b) => {
        const front = b.op(ops.Conv, ['x', pointwise(b, 'front', inputs, channelsAround)])
        return [b.op(ops.Conv, [body(b, front), pointwise(b, 'behind', channelsAround, outputs)])]
      }),
  })
  /** The kernels `[outputs, inputs]` of outputs that each read some inputs, the zeros of others among them. */
  const kernels = (
    b: GraphBuilder,
    name: string,
    outs: Int32Array,
    ins: (o: number) => Int32Array,
    count: number,
  ): string => {
    const side = Math.sqrt(taps)
    return weightOf(b, name, [outs.length, count, side, side], (set) => {
      outs.forEach((o, row) => {
        const live = new Set(w.live[o])
        ins(o).forEach((i, column) => {
          if (live.has(i)) for (let t = 0; t < taps; t++) set((row * count + column) * taps + t, i, o, t)
        })
      })
    })
  }
  const near = size * size * Math.max(inputs, outputs)
  const all = (count: number): Int32Array => Int32Array.from({ length: count }, (_, i) => i)
  const forms = [
    form('Conv', near, (b, x) => b.op(ops.Conv, [x, kernels(b, 'w', all(outputs), () => all(inputs), inputs)], attrs)),
  ]
  if (parts === undefined) {
    const count = w.live[0]?.length ?? 0
    const each = w.live.flatMap((some) => Array.from(some))
    forms.push(
      form('Gather, Conv in groups', size * size * each.length, (b, x) => {
        const read = b.op(ops.Gather, [x, indices(b, 'in', each)], { axis: 1 })
        const weight = kernels(b, 'w', all(outputs), (o) => w.live[o] ?? new Int32Array(), count)
        return b.op(ops.Conv, [read, weight], { ...attrs, group: outputs })
      }),
    )
    return forms
  }
  const backwards = placesOf(w)
  const readInOrder = inOrder(w)
  forms.push(
    form('Convs', near, (b, x) => {
      const made = parts.map((part, g) => {
        const read = b.op(ops.Gather, [x, indices(b, `in${g}`, part.inputs)], { axis: 1 })
        return b.op(ops.Conv, [read, kernels(b, `w${g}`, part.outputs, () => part.inputs, part.inputs.length)], attrs)
      })
      return gatherAll(b, b.op(ops.Concat, made, { axis: 1 }), 'back', backwards, 1)
    }),
    form('Conv in groups', size * size * Math.max(readInOrder.length, outputs), (b, x) => {
      const order = Int32Array.from(parts.flatMap((part) => Array.from(part.outputs)))
      const count = readInOrder.length / parts.length
      const read = gatherAll(b, x, 'in', readInOrder, 1)
      const weight = kernels(b, 'w', order, (o) => w.live[o] ?? new Int32Array(), count)
      return gatherAll(b, b.op(ops.Conv, [read, weight], { ...attrs, group: parts.length }), 'back', backwards, 1)
    }),
  )
  return forms
}
