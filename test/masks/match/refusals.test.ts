/** What evidence does not decide is refused, in a sentence that names what it could be; and what is passed over is noted. */
import { describe, expect, it } from 'vitest'
import { renderError } from '../../../src/ir/failure.ts'
import type { Graph } from '../../../src/ir/graph.ts'
import { Conv, Gather, Gemm, LayerNormalization, MatMul, Relu } from '../../../src/ir/ops/index.ts'
import { makeNode } from '../../../src/ir/make-node.ts'
import { tensorOf } from '../../../src/ir/tensor.ts'
import { tensorType } from '../../../src/ir/type.ts'
import type { FileEntry } from '../../../src/masks/file-entry.ts'
import type { MatchOptions } from '../../../src/masks/match/index.ts'
import { graphOf, net } from '../nets.ts'
import { entry, keptOf, maskEntry, matched, real, reals, refusal, turned } from './files.ts'

const said = (graph: Graph, entries: ReadonlyArray<FileEntry>, options: MatchOptions = {}): string =>
  renderError(refusal(graph, entries, options))

const ones = (count: number): ReadonlyArray<number> => Array.from({ length: count }, () => 1)

/** Two layers of one shape, a third of another, their names lost. */
const nameless = graphOf(
  { x: ['N', 4] },
  { 'onnx::MatMul_8': real([4, 5]), 'onnx::MatMul_9': real([4, 5], 2), 'onnx::MatMul_10': real([5, 3], 3) },
  [
    makeNode(MatMul, ['x', 'onnx::MatMul_8'], ['a'], {}, 'n1'),
    makeNode(MatMul, ['x', 'onnx::MatMul_9'], ['b'], {}, 'n2'),
    makeNode(MatMul, ['b', 'onnx::MatMul_10'], ['y'], {}, 'n3'),
  ],
  ['a', 'y'],
)

/** Modules `body.fc1` and `head` as PyTorch's older exporter names nodes. */
const modular = graphOf(
  { x: ['N', 4] },
  { 'body.fc1.weight': real([5, 4]), 'body.fc1.bias': real([5], 2), 'onnx::MatMul_8': real([5, 3], 3) },
  [
    makeNode(Gemm, ['x', 'body.fc1.weight', 'body.fc1.bias'], ['a'], { transB: 1 }, '/body/fc1/Gemm'),
    makeNode(Relu, ['a'], ['b'], {}, '/body/Relu'),
    makeNode(MatMul, ['b', 'onnx::MatMul_8'], ['y'], {}, '/head/MatMul'),
  ],
  ['y'],
)

describe('refused', () => {
  it('two layers that are alike, with both named', () => {
    const text = said(nameless, [maskEntry('fc1.weight', [5, 4]), maskEntry('fc2.weight', [5, 4], 2)])
    for (const name of ['fc1', 'fc2']) {
      expect(text).toContain(
        `mask ${name}.weight: expected one weight that it fits, found 2 that it fits equally: ` +
          'onnx::MatMul_8 [4,5], read by n1; onnx::MatMul_9 [4,5], read by n2. Say which with --mask-map',
      )
    }
  })

  it('equal weights of two layers, even where the weights are given', () => {
    const twins = graphOf(
      { x: ['N', 4] },
      { 'onnx::MatMul_8': real([4, 5]), 'onnx::MatMul_9': real([4, 5]) },
      [
        makeNode(MatMul, ['x', 'onnx::MatMul_8'], ['a'], {}, 'n1'),
        makeNode(MatMul, ['x', 'onnx::MatMul_9'], ['b'], {}, 'n2'),
      ],
      ['a', 'b'],
    )
    const weights = ['p', 'q'].map((name) => entry(`${name}.weight`, [4, 5], reals([4, 5]), 'float32'))
    const masks = [maskEntry('p.weight', [4, 5]), maskEntry('q.weight', [4, 5], 2)]
    expect(said(twins, masks, { weights })).toContain('mask p.weight: expected one weight that it fits, found 2')
  })

  it('a square mask when nothing tells how it lies', () => {
    const graph = graphOf(
      { x: ['N', 4] },
      { w: real([4, 4]) },
      [makeNode(MatMul, ['x', 'w'], ['y'], {}, '/proj/MatMul')],
      ['y'],
    )
    expect(said(graph, [maskEntry('proj.weight', [4, 4])])).toBe(
      'mask proj.weight: expected one way to lie on w [4,4], read by /proj/MatMul, ' +
        'found transposed and same, which its square shape does not tell apart. Say which with --mask-map ' +
        '(chasec masks IN.onnx MASKS --write-map FILE drafts one), or give the weights with --weights.',
    )
  })

  it('masks of another model, in one sentence', () => {
    const masks = [maskEntry('blocks.0.qkv.weight', [48, 16]), maskEntry('blocks.1.qkv.weight', [48, 17])]
    expect(said(modular, masks)).toBe(
      'masks: expected masks of this model, found 2, none of which fits any of its 2 weights by name, module or shape. ' +
        'They are masks of another model; the nearest by shape: blocks.0.qkv.weight [48,16] to body.fc1.weight [5,4], ' +
        'blocks.1.qkv.weight [48,17] to body.fc1.weight [5,4].',
    )
  })

  it('a weight that was merged with another into one', () => {
    const text = said(modular, [maskEntry('body.fc1.weight', [5, 4]), maskEntry('head.first.weight', [7, 5])])
    expect(text).toContain('mask head.first.weight: expected a weight that the model holds as it was trained')
    expect(text).toContain('it may have been folded into onnx::MatMul_8 [5,3], read by /head/MatMul')
  })

  it('a bias or a scale that was folded', () => {
    const graph = graphOf(
      { x: ['N', 2, 5, 5] },
      { 'onnx::Conv_5': real([4, 2, 3, 3]), 'onnx::Conv_6': real([4], 2) },
      [makeNode(Conv, ['x', 'onnx::Conv_5', 'onnx::Conv_6'], ['y'], {}, '/conv/Conv')],
      ['y'],
    )
    const conv = maskEntry('conv.weight', [4, 2, 3, 3])
    for (const name of ['conv.bias', 'bn.bias', 'bn.weight']) {
      const text = said(graph, [conv, entry(name, [4], [0, 1, 1, 0])])
      expect(text, name).toContain(
        `mask ${name}: expected a weight that the model holds as it was trained, found none; it may have been folded into onnx::Conv_6 [4]`,
      )
    }
  })

  it('a mask of a normalisation is never one of a layer', () => {
    const graph = graphOf(
      { x: ['N', 4] },
      { 'norm.weight': real([4], 2), 'norm.bias': real([4], 3), 'fc.weight': real([4, 4]) },
      [
        makeNode(LayerNormalization, ['x', 'norm.weight', 'norm.bias'], ['a'], {}, '/norm/LayerNormalization'),
        makeNode(Gemm, ['a', 'fc.weight'], ['y'], { transB: 1 }, '/fc/Gemm'),
      ],
      ['y'],
    )
    const matching = matched(graph, [entry('norm.weight', [4], [0, 1, 1, 0])])
    expect([...matching.masks.keys()]).toEqual(['norm.weight'])
    expect(keptOf(matching, 'norm.weight')).toEqual([0, 1, 1, 0])
    expect(said(graph, [entry('other.bias', [4], [0, 1, 1, 0])])).toContain(
      'mask other.bias: expected the name of a weight of the model',
    )
  })

  it('a name whose weight has other numbers than the one given', () => {
    const text = said(modular, [maskEntry('net.body.fc1.weight', [5, 4])], {
      weights: [entry('net.body.fc1.weight', [5, 4], reals([5, 4], 77), 'float32')],
    })
    expect(text).toContain(
      'mask net.body.fc1.weight: expected a weight with the numbers of the one given for it, ' +
        'found other numbers in body.fc1.weight [5,4], read by /body/fc1/Gemm, whose name would fit.',
    )
  })

  it('one weight with other numbers among those that agree', () => {
    const graph = graphOf(
      { x: ['N', 4] },
      { 'a.weight': real([5, 4]), 'b.weight': real([6, 4], 2) },
      [
        makeNode(Gemm, ['x', 'a.weight'], ['p'], { transB: 1 }, 'n1'),
        makeNode(Gemm, ['x', 'b.weight'], ['q'], { transB: 1 }, 'n2'),
      ],
      ['p', 'q'],
    )
    const masks = [maskEntry('a.weight', [5, 4]), maskEntry('b.weight', [6, 4], 2)]
    const weights = [
      entry('a.weight', [5, 4], reals([5, 4]), 'float32'),
      entry('b.weight', [6, 4], reals([6, 4], 77), 'float32'),
    ]
    const text = said(graph, masks, { weights })
    expect(text).toContain('mask b.weight: expected a weight with the numbers of the one given for it')
    expect(text).not.toContain('mask a.weight')
  })

  it.each([
    'head.parametrizations.weight.original0',
    'head.parametrizations.weight.original1',
    'head.weight_g',
    'head.weight_v',
  ])('a factor of a weight, %s', (name) => {
    const text = said(modular, [maskEntry('body.fc1.weight', [5, 4]), maskEntry(name, [3, 5])])
    expect(text).toContain(
      `mask ${name}: expected a weight that the model holds as it was trained, found none; it may have been folded into onnx::MatMul_8 [5,3]`,
    )
  })

  it('weights that are inputs with a default', () => {
    const graph = graphOf(
      { x: ['N', 4], 'fc.weight': [5, 4] },
      {},
      [makeNode(Gemm, ['x', 'fc.weight'], ['y'], { transB: 1 }, 'n1')],
      ['y'],
      { defaults: new Map([['fc.weight', real([5, 4])]]) },
    )
    const text = said(graph, [maskEntry('fc.weight', [5, 4])])
    expect(text).toContain('inputs of the model under the names of the mask')
    expect(text).toContain('export without keep_initializers_as_inputs')
  })

  it('a half', () => {
    const text = said(modular, [entry('body.fc1.weight', [5, 4], [1, 0, 0.5, ...ones(17)], 'float32')])
    expect(text).toContain('mask body.fc1.weight: expected only 0 (masked) and 1 (kept), found 0.5 at [0,2]')
  })

  it('two masks that fit the only weight of their shape', () => {
    const text = said(nameless, [maskEntry('arr_0', [3, 5]), maskEntry('arr_1', [3, 5], 2)])
    for (const name of ['arr_0', 'arr_1'])
      expect(text).toContain(
        `mask ${name}: expected the name of a weight of the model, found none of that name. Of its shape is left onnx::MatMul_10 [5,3], read by n3.`,
      )
  })

  it('the mask of a numbered block for a model of one', () => {
    const block = graphOf(
      { x: ['N', 4] },
      { 'fc.weight': real([5, 4]) },
      [makeNode(Gemm, ['x', 'fc.weight'], ['y'], { transB: 1 }, 'n1')],
      ['y'],
    )
    expect(said(block, [maskEntry('blocks.3.fc.weight', [5, 4])])).toContain('mask blocks.3.fc.weight: expected')
    expect([...matched(block, [maskEntry('block.fc.weight', [5, 4])]).masks.keys()]).toEqual(['fc.weight'])
  })

  it('masks of one block for one of several', () => {
    const blocks = graphOf(
      { x: ['N', 4] },
      { 'blocks.0.fc.weight': real([5, 4]), 'blocks.1.fc.weight': real([5, 4], 2) },
      [
        makeNode(Gemm, ['x', 'blocks.0.fc.weight'], ['a'], { transB: 1 }, 'n1'),
        makeNode(Gemm, ['x', 'blocks.1.fc.weight'], ['b'], { transB: 1 }, 'n2'),
      ],
      ['a', 'b'],
    )
    expect(said(blocks, [maskEntry('fc.weight', [5, 4])])).toContain('found 2 that it fits equally')
  })

  it('a mask for one of two modules that share a constant', () => {
    const shared = graphOf(
      { x: ['N', 4] },
      { 'a.weight': real([4, 4]) },
      [
        makeNode(Gemm, ['x', 'a.weight'], ['p'], { transB: 1 }, '/a/Gemm'),
        makeNode(Gemm, ['p', 'a.weight'], ['y'], { transB: 1 }, '/b/Gemm'),
      ],
      ['y'],
    )
    for (const name of ['a', 'b'])
      expect(said(shared, [maskEntry(`${name}.weight`, [4, 4])])).toContain(
        `mask ${name}.weight: expected a weight of its own, found the constant a.weight, which is also read by Gemm /${name === 'a' ? 'b' : 'a'}/Gemm`,
      )
  })

  it('a mask of torch.nn.utils.prune for one use of a parameter that is tied', () => {
    const values = reals([6, 4])
    const table = (name: string): string =>
      said(
        graphOf(
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
        ),
        [maskEntry(name, [6, 4])],
      )
    expect(table('embed.weight_mask')).toContain('which hold the same parameter, found one for the first.')
  })
})

describe('noted', () => {
  it('a mask that found no weight and keeps everything', () => {
    const matching = matched(modular, [maskEntry('body.fc1.weight', [5, 4]), entry('aux.weight', [9, 9], ones(81))])
    expect([...matching.masks.keys()]).toEqual(['body.fc1.weight'])
    expect(matching.notes).toEqual(['aux.weight found no weight, and keeps everything.'])
  })

  it('a mask of a module that was not exported', () => {
    const matching = matched(modular, [
      maskEntry('body.fc1.weight', [5, 4]),
      maskEntry('head.weight', [3, 5], 2),
      maskEntry('auxiliary.classifier.weight', [9, 9]),
    ])
    expect([...matching.masks.keys()]).toEqual(['body.fc1.weight', 'onnx::MatMul_8'])
    expect(matching.notes).toEqual(['auxiliary.classifier.weight is of a module that is not part of the model.'])
  })

  it('not most masks of a file', () => {
    const absent = ['auxiliary.a', 'auxiliary.b'].map((name) => maskEntry(`${name}.weight`, [9, 9]))
    expect(said(modular, [maskEntry('body.fc1.weight', [5, 4]), ...absent])).toContain('mask auxiliary.a.weight')
  })

  it('prunable weights without a mask', () => {
    const { unmasked } = matched(net, [entry('conv.weight', [4], [1, 0, 1, 1])])
    expect(unmasked.map(({ alias }) => alias)).toEqual(['gemm.weight'])
  })
})
