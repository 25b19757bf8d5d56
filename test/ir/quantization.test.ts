/** What is known of integers that stand for real numbers, and what is refused of them: each guard at its edge. */
import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import { requantizedFact, scalingOn } from '../../src/ir/families/quantized-elements.ts'
import { quantized } from '../../src/ir/families/quantization.ts'
import { heldShiftRefused, rebiasHeld } from '../../src/ir/families/rebuild.ts'
import { contextOf, type Graph } from '../../src/ir/graph.ts'
import type { Contraction, Naming, NodeContext } from '../../src/ir/op.ts'
import { opOf } from '../../src/ir/registry.ts'
import { elements, type Held, tensorOf } from '../../src/ir/tensor.ts'
import { channelConstants } from '../../src/passes/channel-elimination/constants.ts'
import { foldAffine } from '../../src/passes/fold-affine.ts'
import { foldConstants } from '../../src/passes/fold-constants.ts'
import { fuseLinear } from '../../src/passes/fuse-linear.ts'
import { parse } from '../../src/ir/parse.ts'
import { read, right } from '../passes/laws.ts'

const contextIn = (body: string, at = 0): NodeContext<unknown> => {
  const graph = right(parse(`graph "test" (ir 10, opset 21, opset "com.microsoft" 1)\n${body}`))
  const node = graph.nodes[at]
  if (node === undefined) throw new Error('no node')
  return contextOf(graph, node)
}

const contractionIn = (body: string): Contraction | undefined => {
  const ctx = contextIn(body)
  return opOf(ctx.node).contraction?.(ctx)
}

const linksIn = (body: string) => {
  const ctx = contextIn(body)
  const { links } = opOf(ctx.node)
  return links === 'opaque' ? links : links(ctx)
}

describe('rounding to integers', () => {
  test('is known where it cannot go either way, and saturates', () => {
    expect(quantized(1.4, 3, 'int8')).toBe(4)
    expect(quantized(2.5, 0, 'int8')).toBeUndefined()
    expect(quantized(2.5 - 2 ** -12, 0, 'int8')).toBe(2)
    expect(quantized(2.5 - 2 ** -12, 0, 'int8', 2 ** 8)).toBeUndefined()
    expect(quantized(1e9, 0, 'int8')).toBe(127)
    expect(quantized(-1e9, 7, 'uint8')).toBe(0)
    expect(quantized(NaN, 0, 'int8')).toBeUndefined()
  })

  test('of a slice is one number only where all that take part become the same', () => {
    const [one, two] = [
      { scale: 1, zero: 0 },
      { scale: 2, zero: 1 },
    ]
    expect(requantizedFact([4, 3, null], [one, two, two], one, 'int8')).toBe(4)
    expect(requantizedFact([4, 4], [one, two], one, 'int8')).toBeUndefined()
    expect(requantizedFact([4, undefined], [one, two], one, 'int8')).toBeUndefined()
  })
})

test('a sum of terms that nearly cancel is no more certain than they are', () => {
  // 200 and -199.4999 make 0.5001, which is above halfway by less than rounding errors of such terms.
  const sum = (scale: number): NodeContext<unknown> =>
    contextIn(`
      input a: uint8[1,2]
      input b: uint8[1,2]
      const one: float32[] = 1
      const s: float32[] = ${scale / 255}
      const z: uint8[] = 0
      const top: uint8[] = 255
      y = com.microsoft.QLinearAdd(a, one, z, b, s, top, one, z)
      output y: uint8[1,2]`)
  const integers = [200, 200]
  const values = (ctx: NodeContext<unknown>): unknown => {
    const { evaluate, constant } = opOf(ctx.node)
    const x = tensorOf('uint8', [1, 2], integers)
    const made = evaluate?.(ctx, [x, undefined, undefined, tensorOf('uint8', [1, 2], [0, 0])])?.[0]
    const slices = ctx.node.inputs.map((_, port) => (port === 0 ? 200 : port === 3 ? 0 : null))
    return [
      constant === 'copied' ? undefined : constant?.(ctx, slices, 0, 1),
      made && Array.from(elements(made), Number),
    ]
  }
  expect(values(sum(199.3))).toEqual([1, [1, 1]])
  expect(values(sum(199.4999))).toEqual([undefined, undefined])
})

test('what stands for zero is a term of what is rounded', () => {
  // 128.500005, of which ONNX Runtime makes 128: in single precision it is 128.5.
  const sum = (scale: number): unknown => {
    const ctx = contextIn(`
      input a: uint8[1]
      input b: uint8[1]
      const s: float32[] = 0.0750003233551979
      const az: uint8[] = 3
      const t: float32[] = ${scale}
      const bz: uint8[] = 0
      const u: float32[] = 0.9999982714653015
      const z: uint8[] = 128
      y = com.microsoft.QLinearAdd(a, s, az, b, t, bz, u, z)
      output y: uint8[1]`)
    const { constant } = opOf(ctx.node)
    const slices = ctx.node.inputs.map((_, port) => (port === 0 ? 7 : port === 3 ? 4 : null))
    return constant === 'copied' ? undefined : constant?.(ctx, slices, 0, 0)
  }
  expect(sum(0.05000070855021477)).toBeUndefined()
  expect(sum(0.051)).toBe(129)
})

describe('a scale', () => {
  const linear = (scale: string, attributes: string): string => `
    input x: int8[4,6]
    const s: float32${scale}
    y = DequantizeLinear(x, s) { ${attributes} }
    output y: float32[4,6]`

  test('for each index of an axis goes with it', () => {
    expect(linksIn(linear('[6] = [1, 1, 1, 1, 1, 1]', 'axis: 1'))).toContainEqual(
      expect.objectContaining({ input: 1, inputAxis: 0, outputAxis: 1 }),
    )
  })

  test.each([
    ['for blocks of an input', '[2,6] = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]', 'axis: 0, block_size: 2'],
    ['of another size', '[4] = [1, 1, 1, 1]', 'axis: 1'],
    ['of several axes', '[1,6] = [1, 1, 1, 1, 1, 1]', 'axis: 1'],
  ])('%s stops channels', (_, scale, attributes) => {
    expect(linksIn(linear(scale, attributes))).toBe('opaque')
  })

  test('of an operator on elements is one number', () => {
    const body = (scale: string): string => `
      input x: uint8[2,3]
      const s: float32${scale}
      const z: uint8[] = 4
      y = DequantizeLinear(x, s, z)
      output y: float32[2,3]`
    expect(scalingOn(contextIn(body('[] = 0.5')), 1, 2)).toEqual({ scale: 0.5, zero: 4 })
    expect(scalingOn(contextIn(body('[3] = [0.5, 0.5, 0.5]')), 1, 2)).toBeUndefined()
    expect(scalingOn(contextIn(body('[] = 0.5')), 7, 2)).toBeUndefined()
  })
})

describe('products of integers', () => {
  const product = ({ a = 'const az: uint8[] = 3', b = 'const bz: int8[] = 0', type = 'uint8', more = '' }): string => `
    input x: ${type}[2,4]
    ${more}
    const w: int8[4,2] = [1, 2, 3, 4, 5, 6, 7, 8]
    ${a}
    ${b}
    y = MatMulInteger(x, w, az, bz)
    output y: int32[2,2]`

  test('count integers as what they are above zero', () => {
    expect(contractionIn(product({}))?.counts?.(10)).toBe(7)
    expect(contractionIn(product({ a: '', more: 'input az: uint8[]' }))?.counts?.(10)).toBeNaN()
  })

  test('make integers of 32 bits', () => {
    const makes = contractionIn(product({}))?.makes
    expect([7, 2 ** 31 - 1, 2 ** 31, 0.5].map((sum) => makes?.(sum))).toEqual([7, 2 ** 31 - 1, undefined, undefined])
  })

  test.each([
    ['a zero for each input', 'const bz: int8[4] = [1, 2, 3, 4]'],
    ['zeros of two axes', 'const bz: int8[1,2] = [1, 2]'],
  ])('are no contractions with %s', (_, b) => {
    expect(contractionIn(product({ b }))).toBeUndefined()
    expect(contractionIn(product({ b: 'const bz: int8[2] = [1, 2]' }))).toBeDefined()
  })

  const rounded = (given: string, constants = ''): string => `
    input x: uint8[1,2,3,3]
    const w: int8[2,2,1,1] = [1, 2, 3, 4]
    const z: uint8[] = 3
    const wz: int8[] = 0
    const s: float32[] = 0.5
    ${constants}
    y = QLinearConv(x, ${given})
    output y: uint8[1,2,3,3]`

  test('are no contractions where a scale is computed', () => {
    expect(contractionIn(rounded('s, z, w, s, wz, s, z'))).toBeDefined()
    expect(contractionIn(`input t: float32[]${rounded('t, z, w, s, wz, s, z')}`)).toBeUndefined()
    expect(contractionIn(`input t: float32[]${rounded('s, z, w, s, wz, t, z')}`)).toBeUndefined()
  })

  test('make the integer that a sum is rounded to, where it cannot be another', () => {
    const makes = contractionIn(rounded('s, z, w, s, wz, s, z'))?.makes
    expect([1, 1.25, 1.2501].map((sum) => makes?.(sum))).toEqual([5, undefined, 6])
  })

  const names: Naming = { rename: (_, hint) => hint, fresh: (hint) => hint }

  test('are no contractions with a bias that does not follow their outputs', () => {
    const given = rounded('s, z, w, s, wz, s, z, b')
    expect(contractionIn(`const b: int32[2] = [1, 2]${given}`)?.bias(1)).toBe(0.5)
    expect(contractionIn(`input b: int32[2]${given}`)).toBeUndefined()
    expect(contractionIn(`const b: int32[1] = [1]${given}`)).toBeUndefined()
    expect(contractionIn(`const b: int32[1,2] = [1, 2]${given}`)).toBeUndefined()
  })

  test('keep a weight of integers', () => {
    const c = contractionIn(rounded('s, z, w, s, wz, s, z'))
    const weight = tensorOf('float32', [2, 2, 1, 1], [1, 2, 3, 4])
    const made = c?.rebuild({ node: { inputs: [], outputs: [] }, weight, groups: 1 }, names)
    expect(made && E.isLeft(made) && made.left).toContain('kept as integers')
  })
})

describe('a bias of integers', () => {
  const bias: Held = {
    tag: 'Held',
    dtype: 'float32',
    shape: [3],
    stored: tensorOf('int32', [3], [10, -20, 2 ** 24 - 2]),
    scale: tensorOf('float32', [], [0.5]),
    axis: 0,
  }
  const refused = heldShiftRefused(bias)

  test('takes on multiples of its scale', () => {
    expect(refused?.(0, 1.5, 1.5)).toBeUndefined()
    expect(refused?.(0, 1.6, 1.6)).toContain('no multiple')
    expect(refused?.(0, 0.75, 2 ** 30)).toContain('no multiple')
    expect(refused?.(0, 0, 0)).toBeUndefined()
    const changed = rebiasHeld(bias, { shift: Float64Array.of(1.5, 0, 0) })
    expect(E.isRight(changed) && Array.from(elements(changed.right.stored), Number)).toEqual([13, -20, 2 ** 24 - 2])
  })

  test('stays what single precision holds', () => {
    expect(refused?.(2, 0.5, 0.5)).toBeUndefined()
    expect(refused?.(2, 1, 1)).toContain('not exact')
    const small = heldShiftRefused({ ...bias, stored: tensorOf('int8', [3], [100, 0, 0]) })
    expect(small?.(0, 13.5, 13.5)).toBeUndefined()
    expect(small?.(0, 14, 14)).toContain('not exact')
  })

  test('takes factors 0 and 1 only', () => {
    const made = (factor: number, shift: number) =>
      rebiasHeld(bias, { factor: Float64Array.of(factor, 1, 1), shift: Float64Array.of(shift, 0, 0) })
    const zeroed = made(0, 0)
    expect(E.isRight(zeroed) && Number(elements(zeroed.right.stored)[0])).toBe(0)
    expect(E.isLeft(made(0.5, 0))).toBe(true)
    expect(E.isLeft(made(0, 1))).toBe(true)
  })
})

describe('a weight that is held as integers', () => {
  /** `x[2,2,3,3]` through a convolution of integers, and `behind`. */
  const convolution = (
    behind: string,
    scale = '[] = 0.5',
    attributes = '',
    weight = '[2,2,1,1] = [1, 2, 3, 4]',
  ): Graph =>
    right(
      foldConstants.run(
        read(
          `
    input x: float32[2,2,3,3]
    const q: int8${weight}
    const s: float32${scale}
    w = DequantizeLinear(q, s) { axis: 0 }
    h = Conv(x, w) { ${attributes} }
    ${behind}
    output y: float32[2,2,3,3]`,
          21,
        ),
      ),
    )

  test('takes on no factors', () => {
    const graph = convolution('const f: float32[2,1,1] = [2, 3]\ny = Mul(h, f)')
    expect(graph.constants.get('w')?.tag).toBe('Held')
    expect(right(foldAffine.run(graph))).toBe(graph)
    expect(foldAffine.refusals?.(graph).map(({ reason }) => reason)).toEqual([
      expect.stringContaining('smaller numbers'),
    ])
  })

  test('is not multiplied with another one', () => {
    const graph = convolution('const v: float32[2,2,1,1] = [1, 2, 3, 4]\ny = Conv(h, v)')
    expect(right(fuseLinear.run(graph))).toBe(graph)
  })

  test('is one of groups only where its scales count no channels within these', () => {
    const grouped = (op: string, scale: string): Contraction | undefined => {
      const graph = convolution('y = Relu(h)', scale, 'group: 2', '[2,1,1,1] = [1, 2]')
      const node = graph.nodes.find((one) => one.op === 'Conv')
      if (node === undefined) throw new Error('no Conv')
      const turned = { ...node, op }
      const ctx = contextOf(graph, node)
      return opOf(turned).contraction?.({ ...ctx, node: turned })
    }
    expect(grouped('Conv', '[2] = [0.5, 1]')).toBeDefined()
    expect(grouped('ConvTranspose', '[] = 0.5')).toBeDefined()
    expect(grouped('ConvTranspose', '[2] = [0.5, 1]')).toBeUndefined()
  })

  test('of a MatMul is followed by no sum', () => {
    const graph = right(
      foldConstants.run(
        read(
          `
    input x: float32[2,2]
    const q: int8[2,2] = [1, 2, 3, 4]
    const s: float32[] = 0.5
    w = DequantizeLinear(q, s)
    y = MatMul(x, w)
    output y: float32[2,2]`,
          21,
        ),
      ),
    )
    const [node] = graph.nodes
    const c = node && opOf(node).contraction?.(contextOf(graph, node))
    expect(c?.admits?.(0, 1, 1)).toContain('keeps a runtime from multiplying')
  })
})

test('of what is rounded by its range only zeros leave', () => {
  const ctx = contextIn(`
    input x: float32[2,4]
    q, s, z = DynamicQuantizeLinear(x)
    output q: uint8[2,4]
    output s: float32[]
    output z: uint8[]`)
  const statistics = opOf(ctx.node).statistics?.(ctx)
  expect([0, 0.5, -1].map((c) => statistics?.[0]?.leaves(c))).toEqual([true, false, false])
})

test('patterns of integers are not looked for', () => {
  const graph = read(
    `
    input x: float32[1,1,3,3]
    const w: float32[2,1,3,3] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1]
    const b: float32[2] = [4, 0]
    const v: float32[2,2,3,3] = [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1]
    const s: float32[] = 0.3
    const z: int8[] = 0
    h = Conv(x, w, b) { pads: [1, 1, 1, 1] }
    p = Conv(h, v) { pads: [1, 1, 1, 1] }
    q = QuantizeLinear(p, s, z)
    d = DequantizeLinear(q, s, z)
    const u: float32[1,2,1,1] = [1, 1]
    y = Conv(d, u)
    output y: float32[1,1,3,3]`,
    21,
  )
  const { patterns } = channelConstants(graph)
  expect(patterns('p', 1)?.has(0)).toBe(true)
  expect(patterns('q', 1)).toBeUndefined()
})
