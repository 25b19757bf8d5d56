import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, it } from 'vitest'
import { renderError } from '../../../src/ir/failure.ts'
import type { Graph } from '../../../src/ir/graph.ts'
import type { DType } from '../../../src/ir/dtype.ts'
import { dense, tensorOf } from '../../../src/ir/tensor.ts'
import { type MaskFileError, matchMasks } from '../../../src/masks/match/index.ts'
import { channelMask, inputMask } from '../../../src/masks/channel-mask.ts'
import { editDistance, closestNames } from '../../../src/ir/closest.ts'
import type { FileEntry } from '../../../src/masks/file-entry.ts'
import { expandMask, type Masks } from '../../../src/masks/mask.ts'
import type { Layer } from '../../../src/masks/weights.ts'
import { makeNode } from '../../../src/ir/make-node.ts'
import { Conv, Relu } from '../../../src/ir/ops/index.ts'
import * as ops from '../../../src/ir/ops/index.ts'
import { layersOf } from '../../../src/masks/weights.ts'
import { buildGraph } from '../../builder.ts'
import { graphOf, net, sharing, weight } from '../nets.ts'

const entry = (
  name: string,
  shape: ReadonlyArray<number>,
  values: ReadonlyArray<number>,
  dtype: DType = 'bool',
): FileEntry => {
  const tensor = dtype === 'bool' ? dense(dtype, shape, Uint8Array.from(values)) : tensorOf(dtype, shape, values)
  return { name, size: tensor.bytes.length, decode: () => E.right(tensor) }
}

const good = (graph: Graph, ...entries: ReadonlyArray<FileEntry>): Masks => {
  const matching = matchMasks(entries, graph)
  if (E.isLeft(matching)) throw new Error(renderError(matching.left))
  return matching.right.masks
}

const bad = (graph: Graph, ...entries: ReadonlyArray<FileEntry>): MaskFileError => {
  const matching = matchMasks(entries, graph)
  if (E.isRight(matching)) throw new Error('no failure')
  return matching.left
}

const gemmMask = [1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0]

describe('masks of a file', () => {
  it('binds one element per weight, of any type of number', () => {
    for (const dtype of [
      'bool',
      'uint8',
      'int8',
      'int64',
      'uint64',
      'float16',
      'bfloat16',
      'float32',
      'float64',
      'uint4',
    ] as const) {
      const masks = good(net, entry('gemm.weight', [4, 3], gemmMask, dtype))
      expect([...masks.keys()]).toEqual(['gemm.weight'])
      expect(masks.get('gemm.weight')?.elements, dtype).toEqual(Uint8Array.from(gemmMask))
    }
  })

  it('binds one element per output channel, along the axis where the layer has them', () => {
    const masks = good(net, entry('conv.weight', [4], [1, 0, 1, 1]), entry('gemm.weight', [3], [0, 1, 1]))
    expect(masks.get('conv.weight')).toEqual({
      shape: [4, 2, 3, 3],
      elements: undefined,
      axes: [Uint8Array.of(1, 0, 1, 1), undefined, undefined, undefined],
    })
    // The weight of a Gemm that is not transposed is [inputs, outputs].
    expect(masks.get('gemm.weight')?.axes).toEqual([undefined, Uint8Array.of(0, 1, 1)])
  })

  it('takes a mask of a vector for one of its elements', () => {
    expect(good(net, entry('conv.bias', [4], [1, 1, 0, 1])).get('conv.bias')?.elements).toEqual(
      Uint8Array.of(1, 1, 0, 1),
    )
  })

  it('counts negative zero as masked', () => {
    const masks = good(net, entry('conv.bias', [4], [-0, 1, 1, 1], 'float32'))
    expect(masks.get('conv.bias')?.elements).toEqual(Uint8Array.of(0, 1, 1, 1))
  })

  it('names the closest weights and their shapes for a name it does not find', () => {
    const failure = bad(net, entry('cnv.weight', [4], [1, 0, 1, 1]))
    expect(failure).toEqual({
      _tag: 'MaskError',
      subject: 'mask cnv.weight',
      expected: 'the name of a weight of the model',
      found: 'none of that name',
      help: 'The closest names are conv.weight [4,2,3,3], gemm.weight [4,3], conv.bias [4]. Rename the mask.',
    })
  })

  it('names both shapes that fit for one that does not', () => {
    expect(renderError(bad(net, entry('conv.weight', [2], [1, 1])))).toBe(
      'mask conv.weight: expected 0 and 1 in shape [4,2,3,3], or [4] for whole output channels, found shape [2]. ' +
        'Save the mask in the shape of the weight in the model.',
    )
    expect(
      bad(
        net,
        entry(
          'gemm.weight',
          [3, 5],
          Array.from({ length: 15 }, () => 1),
        ),
      ).expected,
    ).toContain('[4,3], or [3] for whole output channels')
    expect(
      bad(
        net,
        entry(
          'conv.weight',
          [4, 1, 2, 1],
          Array.from({ length: 8 }, () => 1),
        ),
      ).found,
    ).toBe('shape [4,1,2,1]')
    expect(bad(net, entry('conv.bias', [], [1])).expected).toBe('0 and 1 in shape [4]')
  })

  it('names the index and the value that is neither 0 nor 1', () => {
    const at = (values: ReadonlyArray<number>, dtype: DType): string =>
      bad(net, entry('gemm.weight', [4, 3], values, dtype)).found
    const values = gemmMask.slice()
    values[7] = 2
    expect(at(values, 'uint8')).toBe('2 at [2,1]')
    expect(at(values, 'bool')).toBe('2 at [2,1]')
    expect(at(values, 'int64')).toBe('2 at [2,1]')
    values[7] = 0.5
    expect(at(values, 'float32')).toBe('0.5 at [2,1]')
    values[7] = NaN
    expect(at(values, 'float64')).toBe('NaN at [2,1]')
    values[7] = -1
    expect(at(values, 'int8')).toBe('-1 at [2,1]')
  })

  it('refuses elements that are not numbers', () => {
    const tensor = dense('float8e5m2', [4], new Uint8Array(4))
    expect(bad(net, { name: 'conv.bias', size: 4, decode: () => E.right(tensor) }).found).toBe(
      'elements of type float8e5m2',
    )
  })

  it('refuses a tensor far larger than any mask without decoding it', () => {
    const bomb: FileEntry = {
      name: 'conv.bias',
      size: 100_000,
      decode: () => {
        throw new Error('decoded')
      },
    }
    expect(bad(net, bomb)).toMatchObject({ found: '100000 bytes', help: 'No such mask takes more than 65568 bytes.' })
  })

  it('takes masks as large as weights that nodes hold, and none larger', () => {
    const held = buildGraph({ x: [1, 300] }, (b) => {
      const w = b.op(ops.Constant, [], { value: tensorOf('float32', [300, 300], new Array<number>(90_000).fill(1)) })
      return [b.op(ops.MatMul, ['x', w])]
    })
    const [name = ''] = held.nodes[0]?.outputs ?? []
    const kept = Array.from({ length: 90_000 }, (_, i) => Number(i % 300 > 3))
    expect(good(held, entry(name, [300, 300], kept)).get(name)?.elements).toEqual(Uint8Array.from(kept))
    const bomb = { ...entry(name, [1], [1]), size: 1_000_000 }
    expect(bad(held, bomb)).toMatchObject({ help: 'No such mask takes more than 785536 bytes.' })
    expect(bad(held, { ...bomb, name: 'unknown' })).toMatchObject({ found: '1000000 bytes' })
  })

  it('reports everything that is wrong at once', () => {
    const failure = bad(
      net,
      entry('conv.wieght', [4], [1, 0, 1, 1]),
      entry('conv.bias', [4], [1, 1, 1, 1]),
      entry('gemm.weight', [3], [1, 7, 1]),
    )
    expect(failure._tag).toBe('MaskError')
    expect(failure.found).toBe('2 that do not')
    const text = renderError(failure)
    expect(text).toContain('mask conv.wieght: expected the name of a weight of the model')
    expect(text).toContain('mask gemm.weight: expected only 0 (masked) and 1 (kept), found 7 at [1]')
    expect(text).not.toContain('mask conv.bias')
  })

  it('lists the first twenty of many and counts the rest', () => {
    const conv = entry('conv.weight', [4], [1, 0, 1, 1])
    const failure = bad(net, conv, ...Array.from({ length: 500 }, (_, i) => entry(`conv.${i}`, [4], [0, 1, 1, 1])))
    expect(failure.found).toBe('500 that do not')
    expect(failure.help.split('\n')).toHaveLength(22)
    expect(failure.help).toContain('and 480 more.')
  })

  it('explains that an input with a default value is no constant', () => {
    const graph = graphOf({ x: ['N', 2], w: [2, 2] }, {}, [makeNode(Relu, ['x'], ['y'])], ['y'], {
      defaults: new Map([['w', weight([2, 2])]]),
    })
    expect(bad(graph, entry('w', [2, 2], [1, 1, 0, 1])).found).toBe(
      'inputs of the model under the names of the mask, whose values callers may replace',
    )
  })
})

describe('masks of weights with several names', () => {
  const [half, other] = [
    [1, 0, 1, 1],
    [1, 1, 0, 1],
  ]

  it('finds the weight that a node holds', () => {
    expect([...good(sharing, entry('held', [2, 2], half)).keys()]).toEqual(['held'])
    expect(good(sharing, entry('held', [2], [1, 0])).get('held')?.axes).toEqual([undefined, Uint8Array.of(1, 0)])
  })

  it('masks the constant under its own name, whoever reads it', () => {
    expect(good(sharing, entry('w', [2, 2], half)).get('w')?.elements).toEqual(Uint8Array.from(half))
  })

  it('refuses a mask for one reader of a constant that others read too', () => {
    expect(renderError(bad(sharing, entry('w2', [2, 2], half)))).toBe(
      'mask w2: expected a weight of its own, found the constant w, which is also read by Gemm first. ' +
        'Mask that too, under its own name; or give the mask the name w to mask it everywhere; ' +
        'or export the model with one initializer for each weight.',
    )
  })

  it('takes the same mask under several names, and gives different ones constants of their own', () => {
    const masks = good(sharing, entry('w2', [2, 2], half), entry('w', [2, 2], half))
    expect([...masks.keys()]).toEqual(['w'])
    const matching = matchMasks([entry('w2', [2, 2], half), entry('w', [2, 2], other)], sharing)
    if (E.isLeft(matching)) throw new Error(renderError(matching.left))
    const { graph, masks: apart } = matching.right
    expect([...apart].map(([name, mask]) => [name, mask.elements])).toEqual([
      ['w_masked', Uint8Array.from(other)],
      ['w2_masked', Uint8Array.from(half)],
    ])
    expect(graph.nodes.filter(({ op }) => op === 'Gemm').map(({ inputs }) => inputs[1])).toEqual([
      'w_masked',
      'w2_masked',
      'held',
    ])
    expect(graph.constants.get('w_masked')).toBe(graph.constants.get('w2_masked'))
  })

  it('resolves a name that is the only way to the constant', () => {
    const { Identity, Gemm } = ops
    const graph = graphOf(
      { x: ['N', 2] },
      { w: weight([2, 2]) },
      [makeNode(Identity, ['w'], ['w1']), makeNode(Identity, ['w1'], ['w2']), makeNode(Gemm, ['x', 'w2'], ['y'])],
      ['y'],
    )
    for (const name of ['w', 'w1', 'w2']) expect([...good(graph, entry(name, [2], [1, 0])).keys()]).toEqual(['w'])
  })
})

describe('masks of grouped layers', () => {
  /** x[1,4,1,1] through Conv with weight [6,2,1,1] in 2 groups. */
  const grouped = graphOf(
    { x: [1, 4, 1, 1] },
    { w: weight([6, 2, 1, 1]) },
    [makeNode(Conv, ['x', 'w'], ['y'], { group: 2 })],
    ['y'],
  )

  it('has every output channel of a grouped convolution along one axis', () => {
    const kept = Uint8Array.of(1, 1, 0, 1, 0, 1)
    expect(good(grouped, entry('w', [6], [...kept])).get('w')?.axes[0]).toEqual(kept)
  })

  it('masks an input channel of a grouped convolution in its own group only', () => {
    const [layer] = layersOf(grouped)
    if (layer === undefined) throw new Error('no layer')
    expect(expandMask(inputMask(layer, Uint8Array.of(1, 0, 1, 1)))).toEqual(
      Uint8Array.of(1, 0, 1, 0, 1, 0, 1, 1, 1, 1, 1, 1),
    )
    expect(expandMask(inputMask(layer, Uint8Array.of(1, 1, 0, 1)))).toEqual(
      Uint8Array.of(1, 1, 1, 1, 1, 1, 0, 1, 0, 1, 0, 1),
    )
  })

  it('counts the output channels of a grouped transposed convolution within a group', () => {
    const [conv] = layersOf(grouped)
    if (conv === undefined) throw new Error('no layer')
    // Weight [C, M/groups] = [4, 3], C = 4, M = 6, 2 groups: inputs 0 and 1 make outputs 0 to 2.
    const layer: Layer = {
      ...conv,
      tensor: weight([4, 3]),
      contraction: { ...conv.contraction, weightOutputAxis: 1, weightInputAxis: 0, grouped: 'output' },
      inputs: 4,
      outputs: 6,
      inputsPerGroup: 2,
      outputsPerGroup: 3,
    }
    const kept = Uint8Array.of(1, 0, 1, 1, 1, 0)
    expect(expandMask(channelMask(layer, kept))).toEqual(Uint8Array.of(1, 0, 1, 1, 0, 1, 1, 1, 0, 1, 1, 0))
    expect(inputMask(layer, Uint8Array.of(1, 1, 0, 1)).axes).toEqual([Uint8Array.of(1, 1, 0, 1), undefined])
  })
})

describe('closest names', () => {
  it.each([
    ['', '', 0],
    ['', 'abc', 3],
    ['kitten', 'sitting', 3],
    ['flaw', 'lawn', 2],
    ['abc', 'abc', 0],
    ['cdua', 'cuda', 1],
    ['xab', 'bax', 2],
  ])('needs %s -> %s: %i edits', (a, b, distance) => {
    expect(editDistance(a, b)).toBe(distance)
    expect(editDistance(b, a)).toBe(distance)
  })

  it('orders by distance, then as given', () => {
    expect(closestNames('ab', ['zz', 'ac', 'abc', 'ab'], 3)).toEqual(['ab', 'ac', 'abc'])
  })
})
