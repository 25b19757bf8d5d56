import { describe, expect, test } from 'vitest'
import { fuseChannelShuffle } from '../../src/passes/fuse-channel-shuffle.ts'
import { expectRefusal, expectRewrite, read, runLawful, write } from './laws.ts'

/** `x` reshaped to `split`, transposed and reshaped back, with whatever else a case needs. */
const shuffle = (
  shape: string,
  split: string,
  perm: string,
  back: string,
  more = '',
): string => `input x: float32[${shape}]
  const split: int64[${split.split(',').length}] = [${split}]
  const back: int64[${back.split(',').length}] = [${back}]
  a = Reshape(x, split)
  b = Transpose(a) { perm: [${perm}] }
  y = Reshape(b, back)
  output y: float32[*]
  ${more}`

/** The same as one Gather; constants that nothing reads any more stay for other passes. */
const gathered = (
  shape: string,
  split: string,
  back: string,
  axis: number,
  order: string,
): string => `input x: float32[${shape}]
  const split: int64[${split.split(',').length}] = [${split}]
  const back: int64[${back.split(',').length}] = [${back}]
  const y_order: int64[${order.split(',').length}] = [${order}]
  y = Gather(x, y_order)${axis === 0 ? '' : ` { axis: ${axis} }`}
  output y: float32[*]`

describe('becomes one Gather', () => {
  test.each<
    readonly [what: string, shape: string, split: string, perm: string, back: string, axis: number, order: string]
  >([
    ['two groups of images', 'N,6,2,2', '0, 2, 3, 2, 2', '0, 2, 1, 3, 4', '0, 6, 2, 2', 1, '0, 3, 1, 4, 2, 5'],
    ['three groups', 'N,6,H,2', '0, 3, 2, -1, 2', '0, 2, 1, 3, 4', '0, 6, -1, 2', 1, '0, 2, 4, 1, 3, 5'],
    ['the first axis', '6,3', '2, 3, 3', '1, 0, 2', '6, 3', 0, '0, 3, 1, 4, 2, 5'],
    ['the last axis', '2,4', '2, 2, 2', '0, 2, 1', '2, 4', 1, '0, 2, 1, 3'],
    ['three factors', 'N,12', '0, 2, 3, 2', '0, 3, 1, 2', '0, 12', 1, '0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11'],
    [
      'groups within part of an axis',
      'N,12',
      '0, 2, 2, 3',
      '0, 2, 1, 3',
      '0, 12',
      1,
      '0, 1, 2, 6, 7, 8, 3, 4, 5, 9, 10, 11',
    ],
    ['other axes merged', 'N,6,2,2', '-1, 2, 3, 4', '0, 2, 1, 3', '-1, 6, 2, 2', 1, '0, 3, 1, 4, 2, 5'],
    ['axes of size 1', 'N,4,1', '0, 1, 2, 2', '0, 3, 1, 2', '0, 4, 1', 1, '0, 2, 1, 3'],
  ])('%s', (_what, shape, split, perm, back, axis, order) => {
    expectRewrite(fuseChannelShuffle, shuffle(shape, split, perm, back), gathered(shape, split, back, axis, order))
  })

  test('written with Unsqueeze and Flatten', () => {
    const after = runLawful(
      fuseChannelShuffle,
      read(`input x: float32[2,6]
        const split: int64[3] = [2, 2, 3]
        a = Reshape(x, split)
        b = Transpose(a) { perm: [0, 2, 1] }
        y = Flatten(b)
        output y: float32[2,6]`),
    )
    expect(write(after)).toContain('Gather(x, y_order)')
  })

  test('a shuffle and its inverse', () => {
    const text = shuffle('N,6', '0, 2, 3', '0, 2, 1', '0, 6')
    const twice = text.replace(
      'output y: float32[*]',
      `const again: int64[3] = [0, 3, 2]
      c = Reshape(y, again)
      d = Transpose(c) { perm: [0, 2, 1] }
      z = Reshape(d, back)
      output z: float32[*]`,
    )
    expect(write(runLawful(fuseChannelShuffle, read(twice)))).toContain('z_order_1: int64[6] = [0, 1, 2, 3, 4, 5]')
  })
})

describe('leaves alone', () => {
  test.each([
    ['two axes swapped', shuffle('N,2,3,4', '0, 2, 3, 4', '0, 2, 1, 3', '0, 3, 2, 4')],
    ['two axes permuted into each other', shuffle('2,4,4', '2, 4, 4', '0, 2, 1', '2, 4, 4')],
    ['a permutation across axes', shuffle('N,4,6', '0, 4, 2, 3', '0, 2, 1, 3', '0, 4, 6')],
    ['another shape', shuffle('N,6,2', '0, 2, 3, 2', '0, 2, 1, 3', '0, 3, 4')],
    ['an axis of unknown size', shuffle('N,C,2', '0, -1, 2, 2', '0, 2, 1, 3', '0, -1, 2')],
    [
      'the split value read elsewhere',
      shuffle('N,6', '0, 2, 3', '0, 2, 1', '0, 6', 'r = Relu(a)\noutput r: float32[*]'),
    ],
    ['the transposed value as an output', shuffle('N,6', '0, 2, 3', '0, 2, 1', '0, 6', 'output b: float32[*]')],
    ['nothing transposed', shuffle('N,6', '0, 2, 3', '0, 1, 2', '0, 6')],
  ])('%s', (_what, text) => expectRefusal(fuseChannelShuffle, text))
})

describe('Gather of Gather', () => {
  const gathers = (
    first: string,
    second: string,
    axes: readonly [number, number] = [1, -2],
  ): string => `input x: float32[N,4,2]
    const i: int64[${first.split(',').length}] = [${first}]
    const j: int64[${second.split(',').length}] = [${second}]
    a = Gather(x, i) { axis: ${axes[0]} }
    y = Gather(a, j) { axis: ${axes[1]} }
    output y: float32[*]`

  test('along one axis composes', () => {
    const after = write(runLawful(fuseChannelShuffle, read(gathers('3, 0, -2, 0', '1, -1, 0'))))
    expect(after).toContain('y_order: int64[3] = [0, 0, 3]')
    expect(after).toContain('y = Gather(x, y_order) { axis: 1 }')
  })

  test('negative indices of the first stay negative', () => {
    const after = write(runLawful(fuseChannelShuffle, read(gathers('3, -1, -2', '1, 2'))))
    expect(after).toContain('y_order: int64[2] = [-1, -2]')
  })

  test('along two axes stays', () => expectRefusal(fuseChannelShuffle, gathers('3, 0', '1, 0', [1, 2])))

  test('with computed indices stays', () => {
    const computed = gathers('3, 0', '1, 0').replace('const j: int64[2] = [1, 0]', 'input j: int64[2]')
    expectRefusal(fuseChannelShuffle, computed)
  })
})
