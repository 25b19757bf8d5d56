import { describe, expect, test } from 'vitest'
import { foldPad } from '../../src/passes/fold-pad.ts'
import { expectRefusal, expectRewrite, read, runLawful } from './laws.ts'

const body = (pad: string, reader: string, more = ''): string => `input x: float32[N,2,4,4]
  const w: float32[3,2,3,3] = elided(0000000100000000)
  const p: int64[8] = [0, 0, 1, 2, 0, 0, 0, 1]
  const p1: int64[8] = [0, 0, 1, 1, 0, 0, 1, 1]
  const channel: int64[8] = [0, 1, 0, 0, 0, 0, 0, 0]
  const cut: int64[8] = [0, 0, -1, 0, 0, 0, 0, 0]
  const spatial: int64[4] = [1, 2, 0, 1]
  const axes: int64[2] = [2, -1]
  const zero: float32[] = 0
  const one: float32[] = 1
  a = ${pad}
  y = ${reader}
  ${more}
  output y: float32[*]`

/** Each with its opset, 17 unless given. */
const cases = (list: ReadonlyArray<readonly [what: string, body: string, opset?: number]>) =>
  list.map(([what, text, opset = 17]) => [what, text, opset] as const)

test('pads add up', () => {
  expectRewrite(
    foldPad,
    body('Pad(x, p, zero)', 'Conv(a, w) { pads: [1, 0, 1, 0], strides: [2, 1] }'),
    body('Pad(x, p, zero)', 'Conv(x, w) { pads: [2, 2, 1, 1], strides: [2, 1] }').replace('a = Pad(x, p, zero)', ''),
  )
})

test.each(
  cases([
    ['Conv without pads', body('Pad(x, p)', 'Conv(a, w)')],
    ['Conv with VALID padding', body('Pad(x, p)', 'Conv(a, w) { auto_pad: "VALID" }')],
    ['axes', body('Pad(x, spatial, _, axes)', 'Conv(a, w)'), 18],
    ['pads as an attribute', body('Pad(x) { pads: [0, 0, 1, 0, 0, 0, 0, 1] }', 'Conv(a, w)'), 10],
    ['AveragePool without pads', body('Pad(x, p)', 'AveragePool(a) { kernel_shape: [3, 3] }')],
    [
      'AveragePool that counts its own',
      body('Pad(x, p1)', 'AveragePool(a) { kernel_shape: [3, 3], pads: [1, 1, 1, 1], count_include_pad: 1 }'),
    ],
  ]),
)('folds into %s', (_what, text, opset) => {
  const after = runLawful(foldPad, read(text, opset))
  expect(after.nodes).toHaveLength(1)
})

describe('refuses', () => {
  test.each(
    cases([
      ['another value', body('Pad(x, p, one)', 'Conv(a, w)')],
      ['a value that is computed', `input v: float32[]\n${body('Pad(x, p, v)', 'Conv(a, w)')}`],
      ['pads that are computed', `input q: int64[8]\n${body('Pad(x, q)', 'Conv(a, w)')}`],
      ['another mode', body('Pad(x, p) { mode: "edge" }', 'Conv(a, w)')],
      [
        'padding of channels',
        body('Pad(x, channel)', 'Conv(a, v)').replace(
          'const w',
          'const v: float32[3,3,1,1] = [1, 2, 3, 4, 5, 6, 7, 8, 9]\nconst w',
        ),
      ],
      ['cutting off', body('Pad(x, cut)', 'Conv(a, w)')],
      ['automatic padding', body('Pad(x, p)', 'Conv(a, w) { auto_pad: "SAME_UPPER" }')],
      ['MaxPool, which pads with -∞', body('Pad(x, p)', 'MaxPool(a) { kernel_shape: [3, 3] }')],
      [
        'AveragePool that does not count its own pads',
        body('Pad(x, p1)', 'AveragePool(a) { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }'),
      ],
      ['AveragePool with pads as large as its kernel', body('Pad(x, p)', 'AveragePool(a) { kernel_shape: [2, 2] }')],
      [
        'AveragePool that rounds up',
        body('Pad(x, p1)', 'AveragePool(a) { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 }'),
      ],
      [
        'a padded value that is the weight, too',
        body('Pad(x, p1)', 'Conv(a, a)').replace('float32[N,2,4,4]', 'float32[2,2,4,4]'),
      ],
      ['a second reader', body('Pad(x, p)', 'Conv(a, w)', 'z = Relu(a)\noutput z: float32[*]')],
      ['a padded value that is a graph output', body('Pad(x, p)', 'Conv(a, w)', 'output a: float32[*]')],
    ]),
  )('%s', (_what, text, opset) => {
    expectRefusal(foldPad, text, opset)
  })
})
