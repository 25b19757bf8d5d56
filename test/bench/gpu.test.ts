/** Masks whose widths are multiples, for the benchmark of widths on a GPU. */
import * as E from 'fp-ts/lib/Either.js'
import { expect, test } from 'vitest'
import { roundedMasks } from '../../bench/gpu.ts'
import { axisMask, noMasks } from '../../src/masks/mask.ts'
import { compile } from '../../src/passes/compile.ts'
import { pruneChannels } from '../../src/passes/prune.ts'
import { readModelBytes } from '../../src/read/model.ts'
import { inflate } from '../inflate.ts'

test('as few channels come back as make a multiple of those that stay, and never more than there are', () => {
  const kept = Uint8Array.from([1, 0, 0, 1, 0, 1, 0])
  const rounded = (multiple: number) =>
    roundedMasks(new Map([['w', axisMask([7, 2], 0, kept)]]), multiple).get('w')?.axes[0]
  expect(rounded(1)).toEqual(kept)
  expect(rounded(4)).toEqual(Uint8Array.from([1, 1, 0, 1, 0, 1, 0]))
  expect(rounded(5)).toEqual(Uint8Array.from([1, 1, 1, 1, 0, 1, 0]))
  expect(rounded(8)).toEqual(new Uint8Array(7).fill(1))
})

test('compiled, every width of a residual network is a multiple', () => {
  const read = readModelBytes(inflate('resnet18'))
  if (E.isLeft(read)) return expect.unreachable()
  const pruned = pruneChannels(read.right, noMasks, { channels: 0.4, score: 'random', scope: 'all', seed: 1 })
  if (E.isLeft(pruned)) return expect.unreachable()
  const widths = (multiple: number) => {
    const masks = roundedMasks(pruned.right.masks, multiple)
    const compiled = compile(read.right, masks, { target: 'cuda', widths: 'raw' })
    // The classes of the network stay as they are.
    return E.isLeft(compiled) ? [] : compiled.right.report.layers.slice(0, -1).map(({ outputs }) => outputs)
  }
  expect(widths(1).some(({ after }) => after % 8 !== 0)).toBe(true)
  const found = widths(32)
  expect(found).toHaveLength(20)
  expect(found.filter(({ after }) => after % 32 !== 0 || after === 0)).toEqual([])
  expect(found.filter(({ before, after }) => after < before).length).toBeGreaterThan(10)
})
