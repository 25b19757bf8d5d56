/** One small graph for each way in which a mask finds its weight; the elements that are masked, not only that it did. */
import { describe, expect, it } from 'vitest'
import type { Graph } from '../../../src/ir/graph.ts'
import { Add, Cast, Conv, Flatten, Gather, Gemm, LSTM, MatMul, Relu } from '../../../src/ir/ops/index.ts'
import { makeNode } from '../../../src/ir/make-node.ts'
import { type Tensor, tensorOf } from '../../../src/ir/tensor.ts'
import { tensorType } from '../../../src/ir/type.ts'
import { summariseMatching } from '../../../src/masks/match/index.ts'
import { matchNotes } from '../../../src/report/matching.ts'
import { graphOf } from '../nets.ts'
import { bits, entry, keptOf, maskEntry, matched, type Numbers, real, reals, refusal, turned, waysOf } from './files.ts'

const convShape = [4, 2, 3, 3]

/** Convolution and Linear under their own names. */
const named: Graph = graphOf(
  { x: ['N', 2, 3, 3] },
  { 'features.0.weight': real(convShape), 'head.weight': real([3, 4], 2), 'head.bias': real([3], 3) },
  [
    makeNode(Conv, ['x', 'features.0.weight'], ['a'], {}, 'Conv_0'),
    makeNode(Relu, ['a'], ['b']),
    makeNode(Flatten, ['b'], ['c']),
    makeNode(Gemm, ['c', 'head.weight', 'head.bias'], ['y'], { transB: 1 }, 'Gemm_3'),
  ],
  ['y'],
)

/** The same as PyTorch's older exporter writes a model with folded normalisations and Linears without a bias. */
const renamed = (square = false): Graph =>
  graphOf(
    { x: ['N', 2, 3, 3] },
    {
      'onnx::Conv_12': real(convShape),
      'onnx::MatMul_8': real([4, 3], 2),
      ...(square ? { 'onnx::MatMul_9': real([3, 3], 3) } : {}),
    },
    [
      makeNode(Conv, ['x', 'onnx::Conv_12'], ['a'], {}, '/layer1/layer1.0/conv1/Conv'),
      makeNode(Relu, ['a'], ['b'], {}, '/layer1/layer1.0/relu/Relu'),
      makeNode(Flatten, ['b'], ['c'], {}, '/Flatten'),
      makeNode(MatMul, ['c', 'onnx::MatMul_8'], ['d'], {}, '/fc/MatMul'),
      ...(square ? [makeNode(MatMul, ['d', 'onnx::MatMul_9'], ['y'], {}, '/head/proj/MatMul')] : []),
    ],
    [square ? 'y' : 'd'],
  )

/** A matrix product without names of modules. */
const product = (name: string, tensor: Tensor, more: Readonly<Record<string, Tensor>> = {}): Graph =>
  graphOf(
    { x: ['N', tensor.shape[0] ?? 0] },
    { [name]: tensor, ...more },
    [
      makeNode(MatMul, ['x', name], ['p'], {}, 'n0'),
      ...Object.keys(more).map((other, i) => makeNode(MatMul, ['x', other], [`p${i}`], {}, `n${i + 1}`)),
    ],
    ['p', ...Object.keys(more).map((_, i) => `p${i}`)],
  )

describe('by name', () => {
  it.each([
    'head.weight',
    'head',
    'module.head.weight',
    '_orig_mod.head.weight',
    'module._orig_mod.head.weight_mask',
    'head._orig_mod.weight',
    'head.module.weight',
    'head.weight_mask',
    'head.weight_orig',
    'head.weight.mask',
    'head.parametrizations.weight.original',
    'head.parametrizations.weight.0.mask',
    'model.head.weight',
  ])('finds the weight of %s', (name) => {
    const matching = matched(named, [maskEntry(name, [3, 4])])
    expect(waysOf(matching)).toEqual(['name'])
    expect(keptOf(matching, 'head.weight')).toEqual(bits([3, 4]))
    expect(matching.unmasked.map(({ alias }) => alias)).toEqual(['features.0.weight'])
  })

  it('drops one prefix from all names of a file', () => {
    const matching = matched(named, [
      maskEntry('backbone.features.0.weight', convShape),
      maskEntry('backbone.head.weight', [3, 4], 2),
    ])
    expect(waysOf(matching)).toEqual(['name', 'name'])
    expect(keptOf(matching, 'features.0.weight')).toEqual(bits(convShape))
    expect(keptOf(matching, 'head.weight')).toEqual(bits([3, 4], 2))
  })

  it('turns the axes of a TensorFlow kernel', () => {
    const shape = [3, 3, 2, 4]
    const matching = matched(named, [maskEntry('features/0/kernel:0', shape), maskEntry('head/kernel:0', [4, 3], 2)])
    const kernel = bits(shape)
    const oihw = Array.from({ length: 72 }, (_, at) => {
      const [o, i, k] = [Math.floor(at / 18), Math.floor(at / 9) % 2, at % 9]
      return kernel[k * 8 + i * 4 + o]
    })
    expect(keptOf(matching, 'features.0.weight')).toEqual(oihw)
    expect(keptOf(matching, 'head.weight')).toEqual(turned(bits([4, 3], 2), [4, 3]))
    expect(matching.assignments.map(({ layout }) => layout.kind)).toEqual(['tensorflow', 'transposed'])
  })

  it('leaves a square TensorFlow kernel as it is on a product, and turns it on a Linear', () => {
    const graph = graphOf(
      { x: ['N', 3] },
      { 'dense/kernel': real([3, 3]), 'out.weight': real([3, 3], 2) },
      [
        makeNode(MatMul, ['x', 'dense/kernel'], ['a'], {}, 'net/dense/MatMul'),
        makeNode(Gemm, ['a', 'out.weight'], ['y'], { transB: 1 }, 'net/out/Gemm'),
      ],
      ['y'],
    )
    const matching = matched(graph, [maskEntry('dense/kernel:0', [3, 3]), maskEntry('out/kernel:0', [3, 3], 2)])
    expect(keptOf(matching, 'dense/kernel')).toEqual(bits([3, 3]))
    expect(keptOf(matching, 'out.weight')).toEqual(turned(bits([3, 3], 2), [3, 3]))
  })

  it('leaves a square mask as it is on a product that kept its name', () => {
    const matching = matched(product('proj.weight', real([4, 4])), [maskEntry('proj.weight', [4, 4])])
    expect(keptOf(matching, 'proj.weight')).toEqual(bits([4, 4]))
  })
})

describe('by a name that an exporter made up', () => {
  const [own, wide] = ['onnx::MatMul_9', 'onnx::MatMul_8']

  it.each([own, 'val_12', '9'])('leaves a square mask of %s as it is, alone or beside others', (name) => {
    expect(keptOf(matched(product(name, real([4, 4])), [maskEntry(name, [4, 4])]), name)).toEqual(bits([4, 4]))
    const both = product(name, real([4, 4]), { [wide]: real([4, 6], 2) })
    const matching = matched(both, [maskEntry(name, [4, 4]), maskEntry(wide, [4, 6], 2)])
    expect(keptOf(matching, name)).toEqual(bits([4, 4]))
    expect(keptOf(matching, wide)).toEqual(bits([4, 6], 2))
  })

  it('leaves it as it is where another mask comes from the program and is turned', () => {
    const matching = matched(renamed(true), [maskEntry('fc.weight', [3, 4], 2), maskEntry(own, [3, 3], 3)])
    expect(keptOf(matching, own)).toEqual(bits([3, 3], 3))
    expect(keptOf(matching, wide)).toEqual(turned(bits([3, 4], 2), [3, 4]))
  })

  it('does not say how it lies where one of such a name is turned', () => {
    const both = product(own, real([4, 4]), { [wide]: real([4, 6], 2) })
    const { subject, found } = refusal(both, [maskEntry(own, [4, 4]), maskEntry(wide, [6, 4], 2)])
    expect([subject, found]).toEqual([`mask ${own}`, expect.stringContaining('transposed and same')])
  })
})

describe('by node', () => {
  it('finds weights that were renamed by the modules of their readers', () => {
    const matching = matched(renamed(), [
      maskEntry('layer1.0.conv1.weight', convShape),
      maskEntry('fc.weight', [3, 4], 2),
    ])
    expect(waysOf(matching)).toEqual(['node', 'node'])
    expect(keptOf(matching, 'onnx::Conv_12')).toEqual(bits(convShape))
    expect(keptOf(matching, 'onnx::MatMul_8')).toEqual(turned(bits([3, 4], 2), [3, 4]))
  })

  it('turns a square weight that an exporter made', () => {
    const matching = matched(renamed(true), [
      maskEntry('fc.weight', [3, 4], 2),
      maskEntry('head.proj.weight', [3, 3], 3),
    ])
    expect(keptOf(matching, 'onnx::MatMul_9')).toEqual(turned(bits([3, 3], 3), [3, 3]))
  })

  it('drops a prefix from modules', () => {
    const matching = matched(renamed(), [
      maskEntry('module.net.layer1.0.conv1.weight', convShape),
      maskEntry('module.net.fc.weight', [3, 4], 2),
    ])
    expect(waysOf(matching)).toEqual(['node', 'node'])
    expect(keptOf(matching, 'onnx::Conv_12')).toEqual(bits(convShape))
  })

  it('takes channels of a convolution, in either form', () => {
    const kept = [1, 0, 0, 1]
    const channels = kept.flatMap((keep) => Array.from({ length: 18 }, () => keep))
    for (const shape of [[4], [4, 1, 1, 1]]) {
      const matching = matched(renamed(), [entry('layer1.0.conv1.weight', shape, kept)])
      expect(keptOf(matching, 'onnx::Conv_12')).toEqual(channels)
    }
  })

  it('takes channels of a product that was turned along its columns', () => {
    const matching = matched(renamed(), [entry('fc.weight', [3], [1, 0, 1])])
    expect(keptOf(matching, 'onnx::MatMul_8')).toEqual([1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 0, 1])
  })

  it('finds a parametrized weight by its module', () => {
    const matching = matched(renamed(), [maskEntry('fc.parametrizations.weight.0.mask', [3, 4])])
    expect(waysOf(matching)).toEqual(['node'])
    expect(keptOf(matching, 'onnx::MatMul_8')).toEqual(turned(bits([3, 4]), [3, 4]))
  })
})

describe('by value', () => {
  const given = (name: string, shape: Numbers, values: Numbers) => ({
    weights: [entry(name, shape, values, 'float32')],
  })

  it('finds a transposed weight', () => {
    const values = reals([5, 3])
    const graph = product('onnx::MatMul_8', tensorOf('float32', [3, 5], turned(values, [5, 3])), {
      'onnx::MatMul_9': real([3, 5], 9),
    })
    const matching = matched(graph, [maskEntry('fc.weight', [5, 3])], given('fc.weight', [5, 3], values))
    expect(waysOf(matching)).toEqual(['value'])
    expect([...matching.masks.keys()]).toEqual(['onnx::MatMul_8'])
    expect(keptOf(matching, 'onnx::MatMul_8')).toEqual(turned(bits([5, 3]), [5, 3]))
  })

  it('tells both orientations of a square weight', () => {
    const values = reals([4, 4])
    const same = product('onnx::MatMul_8', tensorOf('float32', [4, 4], values))
    const other = product('onnx::MatMul_8', tensorOf('float32', [4, 4], turned(values, [4, 4])))
    const [mask, options] = [maskEntry('fc.weight', [4, 4]), given('fc.weight', [4, 4], values)]
    expect(keptOf(matched(same, [mask], options), 'onnx::MatMul_8')).toEqual(bits([4, 4]))
    expect(keptOf(matched(other, [mask], options), 'onnx::MatMul_8')).toEqual(turned(bits([4, 4]), [4, 4]))
  })

  /** x[N,2,5,5] through one convolution. */
  const convolution = (values: Numbers): Graph =>
    graphOf(
      { x: ['N', 2, 5, 5] },
      { 'onnx::Conv_5': tensorOf('float32', convShape, values), 'onnx::Conv_6': real(convShape, 8) },
      [makeNode(Conv, ['x', 'onnx::Conv_6'], ['z'], {}, 'n0'), makeNode(Conv, ['x', 'onnx::Conv_5'], ['y'], {}, 'n1')],
      ['y', 'z'],
    )

  it('finds a permuted weight', () => {
    const [shape, values] = [[2, 3, 3, 4], reals([2, 3, 3, 4])]
    const place = (at: number): number => (Math.floor(at / 9) % 2) * 36 + (at % 9) * 4 + Math.floor(at / 18)
    const permuted = (from: Numbers): Numbers => Array.from({ length: 72 }, (_, at) => from[place(at)] ?? NaN)
    const matching = matched(convolution(permuted(values)), [maskEntry('w', shape)], given('w', shape, values))
    expect(waysOf(matching)).toEqual(['value'])
    expect([...matching.masks.keys()]).toEqual(['onnx::Conv_5'])
    expect(keptOf(matching, 'onnx::Conv_5')).toEqual(permuted(bits(shape)))
  })

  it('finds a weight into which a normalisation was folded', () => {
    const values = reals(convShape)
    const scales = [0.5, -3, 1.7, 12]
    const scaled = values.map((x, i) => x * (scales[Math.floor(i / 18)] ?? NaN))
    const options = given('c.weight', convShape, values)
    const whole = matched(convolution(scaled), [maskEntry('c.weight', convShape)], options)
    expect(waysOf(whole)).toEqual(['value'])
    expect([...whole.masks.keys()]).toEqual(['onnx::Conv_5'])
    expect(keptOf(whole, 'onnx::Conv_5')).toEqual(bits(convShape))
    const channels = matched(convolution(scaled), [entry('c.weight', [4], [0, 1, 1, 0])], options)
    expect(keptOf(channels, 'onnx::Conv_5')).toEqual(
      [0, 1, 1, 0].flatMap((keep) => Array.from({ length: 18 }, () => keep)),
    )
  })

  it('finds queries, keys and values in one product', () => {
    const parts = ['q', 'k', 'v']
    const values = parts.map((_, i) => reals([4, 4], i + 1))
    const joined = (rows: ReadonlyArray<Numbers>): Numbers => turned(rows.flat(), [12, 4])
    const graph = product('onnx::MatMul_8', tensorOf('float32', [4, 12], joined(values)))
    const matching = matched(
      graph,
      parts.map((part, i) => maskEntry(`${part}.weight`, [4, 4], i + 5)),
      { weights: parts.map((part, i) => entry(`${part}.weight`, [4, 4], values[i] ?? [], 'float32')) },
    )
    expect(waysOf(matching)).toEqual(['value', 'value', 'value'])
    expect(matching.assignments.map(({ layout }) => layout.text)).toEqual([
      'output channels 0 to 3 of 12',
      'output channels 4 to 7 of 12',
      'output channels 8 to 11 of 12',
    ])
    expect(keptOf(matching, 'onnx::MatMul_8')).toEqual(joined(parts.map((_, i) => bits([4, 4], i + 5))))
  })

  it('finds a weight that was rounded to float16', () => {
    const values = reals([5, 3])
    const half = tensorOf('float16', [3, 5], turned(values, [5, 3]))
    const graph = graphOf(
      { x: ['N', 3] },
      { w8: half, w9: tensorOf('float16', [3, 5], reals([3, 5], 9)) },
      [
        makeNode(Cast, ['x'], ['x16'], { to: 10 }),
        makeNode(MatMul, ['x16', 'w9'], ['b'], {}, 'n0'),
        makeNode(MatMul, ['x16', 'w8'], ['a'], {}, 'n1'),
        makeNode(Add, ['a', 'b'], ['s']),
        makeNode(Cast, ['s'], ['y'], { to: 1 }),
      ],
      ['y'],
    )
    const matching = matched(graph, [maskEntry('fc.weight', [5, 3])], given('fc.weight', [5, 3], values))
    expect(waysOf(matching)).toEqual(['value'])
    expect(keptOf(matching, 'w8')).toEqual(turned(bits([5, 3]), [5, 3]))
  })

  it('finds the weights of a masked model, zeros in place', () => {
    const [values, kept] = [reals([5, 3]), bits([5, 3])]
    const zeroed = values.map((x, i) => x * (kept[i] ?? NaN))
    const graph = product('onnx::MatMul_8', tensorOf('float32', [3, 5], turned(zeroed, [5, 3])), {
      'onnx::MatMul_9': real([3, 5], 9),
    })
    const matching = matched(graph, [entry('fc.weight', [5, 3], kept)], given('fc.weight', [5, 3], values))
    expect(waysOf(matching)).toEqual(['value'])
    expect(keptOf(matching, 'onnx::MatMul_8')).toEqual(turned(kept, [5, 3]))
  })

  it('takes the weights beside the masks of a checkpoint', () => {
    const values = reals([5, 3])
    const graph = product('onnx::MatMul_8', tensorOf('float32', [3, 5], turned(values, [5, 3])), {
      'onnx::MatMul_9': real([3, 5], 9),
    })
    const matching = matched(graph, [
      maskEntry('fc.weight_mask', [5, 3]),
      entry('fc.weight_orig', [5, 3], values, 'float32'),
    ])
    expect(waysOf(matching)).toEqual(['value'])
    expect([...matching.masks.keys()]).toEqual(['onnx::MatMul_8'])
  })

  it('believes numbers before names', () => {
    const graph = product('b.weight', real([3, 5], 1), { 'a.weight': real([3, 5], 2) })
    const weights = [
      entry('a.weight', [3, 5], reals([3, 5], 1), 'float32'),
      entry('b.weight', [3, 5], reals([3, 5], 2), 'float32'),
    ]
    const masks = [maskEntry('a.weight', [3, 5], 3), maskEntry('b.weight', [3, 5], 4)]
    const matching = matched(graph, masks, { weights })
    expect(keptOf(matching, 'b.weight')).toEqual(bits([3, 5], 3))
    expect(keptOf(matching, 'a.weight')).toEqual(bits([3, 5], 4))
    expect(keptOf(matched(graph, masks), 'a.weight')).toEqual(bits([3, 5], 3))
  })
})

describe('by shape', () => {
  it('places what is alone of its shape, and says so', () => {
    const matching = matched(renamed(), [maskEntry('arr_0', [3, 4], 2), maskEntry('arr_1', convShape)])
    expect(waysOf(matching)).toEqual(['shape', 'shape'])
    expect(keptOf(matching, 'onnx::Conv_12')).toEqual(bits(convShape))
    expect(keptOf(matching, 'onnx::MatMul_8')).toEqual(turned(bits([3, 4], 2), [3, 4]))
    expect(matchNotes(summariseMatching(matching))).toEqual(['2 masks found a weight by shape alone: look at it.'])
  })

  it('is left to masks that names do not place', () => {
    const graph = product('fc1.weight', real([4, 4], 1), { 'onnx::MatMul_8': real([4, 4], 2) })
    const matching = matched(graph, [maskEntry('fc1.weight', [4, 4], 3), maskEntry('arr_1', [4, 4], 4)], {})
    expect(waysOf(matching)).toEqual(['name', 'shape'])
    expect([...matching.masks.keys()]).toEqual(['fc1.weight', 'onnx::MatMul_8'])
  })
})

describe('a table and a head that are tied', () => {
  const values = reals([6, 4])
  const graph = graphOf(
    {},
    {
      'embed.weight': tensorOf('float32', [6, 4], values),
      'onnx::MatMul_9': tensorOf('float32', [4, 6], turned(values, [6, 4])),
    },
    [
      makeNode(Gather, ['embed.weight', 'i'], ['a'], {}, '/embed/Gather'),
      makeNode(MatMul, ['a', 'onnx::MatMul_9'], ['y'], {}, '/head/MatMul'),
    ],
    ['y'],
    { inputs: [{ name: 'i', type: tensorType('int64', ['N']) }] },
  )

  it('both get the mask of one', () => {
    const matching = matched(graph, [maskEntry('embed.weight', [6, 4])])
    expect(waysOf(matching)).toEqual(['name', 'tied'])
    expect(keptOf(matching, 'embed.weight')).toEqual(bits([6, 4]))
    expect(keptOf(matching, 'onnx::MatMul_9')).toEqual(turned(bits([6, 4]), [6, 4]))
  })

  it('get masks of their own', () => {
    const matching = matched(graph, [
      maskEntry('embed.weight_mask', [6, 4], 2),
      maskEntry('head.weight_mask', [6, 4], 3),
    ])
    expect(waysOf(matching)).toEqual(['name', 'node'])
    expect(keptOf(matching, 'embed.weight')).toEqual(bits([6, 4], 2))
    expect(keptOf(matching, 'onnx::MatMul_9')).toEqual(turned(bits([6, 4], 3), [6, 4]))
  })
})

describe('in_proj_weight', () => {
  const attention = (widths: Numbers): Graph =>
    graphOf(
      { x: ['N', 4] },
      {
        ...Object.fromEntries(widths.map((width, i) => [`onnx::MatMul_${i + 20}`, real([4, width], i + 1)])),
        'attn.out_proj.weight': real([4, 4], 9),
      },
      [
        ...widths.map((_, i) =>
          makeNode(MatMul, ['x', `onnx::MatMul_${i + 20}`], [`y${i}`], {}, `/attn/MatMul${i === 0 ? '' : `_${i}`}`),
        ),
        makeNode(Gemm, ['x', 'attn.out_proj.weight'], ['z'], { transB: 1 }, '/attn/Gemm'),
      ],
      [...widths.map((_, i) => `y${i}`), 'z'],
    )
  const masks = [maskEntry('attn.in_proj_weight', [12, 4]), maskEntry('attn.out_proj.weight', [4, 4], 9)]
  const rows = (from: number, to: number): Numbers => turned(bits([12, 4]).slice(4 * from, 4 * to), [to - from, 4])

  it('is split into three products', () => {
    const matching = matched(attention([4, 4, 4]), masks)
    expect(keptOf(matching, 'onnx::MatMul_20')).toEqual(rows(0, 4))
    expect(keptOf(matching, 'onnx::MatMul_21')).toEqual(rows(4, 8))
    expect(keptOf(matching, 'onnx::MatMul_22')).toEqual(rows(8, 12))
  })

  it('is split into queries, and keys with values', () => {
    const matching = matched(attention([8, 4]), masks)
    expect(keptOf(matching, 'onnx::MatMul_21')).toEqual(rows(0, 4))
    expect(keptOf(matching, 'onnx::MatMul_20')).toEqual(rows(4, 12))
  })
})

describe('an LSTM', () => {
  const recurrent = (directions: number): Graph =>
    graphOf(
      { x: ['L', 'N', 3] },
      { 'onnx::LSTM_50': real([directions, 8, 3], 1), 'onnx::LSTM_51': real([directions, 8, 2], 2) },
      [
        makeNode(
          LSTM,
          ['x', 'onnx::LSTM_50', 'onnx::LSTM_51'],
          ['y', 'h', 'c'],
          { hidden_size: 2, direction: directions === 2 ? 'bidirectional' : 'forward' },
          '/lstm/LSTM',
        ),
      ],
      ['y'],
    )
  /** PyTorch has gates i, f, g, o; ONNX i, o, f, c. */
  const gates = (values: Numbers): Numbers => {
    const block = values.length / 4
    return [0, 3, 1, 2].flatMap((gate) => values.slice(gate * block, (gate + 1) * block))
  }

  it('has its gates in another order', () => {
    const matching = matched(recurrent(1), [
      maskEntry('lstm.weight_ih_l0', [8, 3], 4),
      maskEntry('lstm.weight_hh_l0', [8, 2], 5),
    ])
    expect(keptOf(matching, 'onnx::LSTM_50')).toEqual(gates(bits([8, 3], 4)))
    expect(keptOf(matching, 'onnx::LSTM_51')).toEqual(gates(bits([8, 2], 5)))
    expect(gates(bits([8, 3], 4))).not.toEqual(bits([8, 3], 4))
  })

  it('holds both directions in one constant', () => {
    const matching = matched(recurrent(2), [
      maskEntry('lstm.weight_hh_l0_reverse', [8, 2], 5),
      maskEntry('lstm.weight_hh_l0', [8, 2], 4),
    ])
    expect(keptOf(matching, 'onnx::LSTM_51')).toEqual([...gates(bits([8, 2], 4)), ...gates(bits([8, 2], 5))])
  })
})

describe('a constant that two modules share', () => {
  const graph = graphOf(
    { x: ['N', 4] },
    { 'a.weight': real([4, 4]) },
    [
      makeNode(Gemm, ['x', 'a.weight'], ['p'], { transB: 1 }, '/a/Gemm'),
      makeNode(Gemm, ['p', 'a.weight'], ['y'], { transB: 1 }, '/b/Gemm'),
    ],
    ['y'],
  )

  it('becomes two for two masks', () => {
    const matching = matched(graph, [maskEntry('a.weight', [4, 4], 2), maskEntry('b.weight', [4, 4], 3)])
    const read = matching.graph.nodes.map(({ inputs }) => inputs[1] ?? '')
    expect(new Set(read).size).toBe(2)
    expect(read.map((name) => keptOf(matching, name))).toEqual([bits([4, 4], 2), bits([4, 4], 3)])
    for (const name of read) expect(matching.graph.constants.get(name)).toBe(graph.constants.get('a.weight'))
  })

  it('stays one for equal masks', () => {
    const matching = matched(graph, [maskEntry('a.weight', [4, 4]), maskEntry('b.weight', [4, 4])])
    expect(matching.graph).toBe(graph)
    expect([...matching.masks.keys()]).toEqual(['a.weight'])
    expect(keptOf(matching, 'a.weight')).toEqual(bits([4, 4]))
  })
})
