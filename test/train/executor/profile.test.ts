/** The profile of a training step names every layer, and its times are parts of the step's. */
import { expect, test } from 'vitest'
import { labelOf } from '../../../src/ir/graph.ts'
import { parseModel } from '../../../src/models/index.ts'
import { profileSteps } from '../../../src/train/executor/profile.ts'
import { summariseProfile } from '../../../src/report/training-profile.ts'
import { orThrow } from '../../fuzz/differential.ts'
import { executorOf, open } from './helpers.ts'

const backend = await open('wasm')
const graph = orThrow(orThrow(parseModel('resnet20')).build({ classes: 10, shape: [3, 32, 32], seed: 1 }))

test('every layer has its times, which are parts of the step', async () => {
  const repeats = 3
  const before = backend.core.memory().numTensors
  const profile = orThrow(await profileSteps(graph, backend, { batch: 4, repeats }))
  expect(backend.core.memory().numTensors).toBe(before)
  const executor = executorOf(graph, backend)
  const labels = profile.layers.map(({ label }) => label)
  expect(labels.filter((label) => !label.startsWith('Transpose '))).toEqual(executor.graph.nodes.map(labelOf))
  executor.dispose()
  expect(profile.batch).toBe(4)
  expect(profile.steps).toHaveLength(repeats)
  for (const [i, step] of profile.steps.entries()) {
    // What brings the input into its layout has no gradient.
    const spent = profile.layers.map(({ forward, backward }) => (forward[i] ?? NaN) + (backward[i] ?? 0))
    expect(spent.reduce((a, b) => a + b, profile.optimiser[i] ?? NaN)).toBeLessThanOrEqual(step)
  }
  const convolutions = profile.layers.filter(({ label }) => label.startsWith('Conv '))
  for (const { forward, backward } of convolutions) {
    expect(forward).toHaveLength(repeats)
    expect(backward).toHaveLength(repeats)
    for (const time of [...forward, ...backward]) expect(time).toBeGreaterThan(0)
  }
})

test('a summary has medians, and what no layer took', () => {
  const summary = summariseProfile({
    batch: 2,
    layers: [
      { label: 'Conv a', forward: [1, 2, 9], backward: [3, 4, 5] },
      { label: 'Transpose x', forward: [1, 1, 1], backward: [] },
    ],
    optimiser: [1, 1, 4],
    steps: [9, 10, 20],
  })
  expect(summary.layers).toEqual([
    { label: 'Conv a', forward: 2, backward: 4, share: 0.6 },
    { label: 'Transpose x', forward: 1, backward: 0, share: 0.1 },
  ])
  expect(summary).toMatchObject({ batch: 2, step: 10, optimiser: 1, rest: 2 })
})

test('a model that cannot be trained is a failure', async () => {
  const result = await profileSteps({ ...graph, outputs: graph.inputs }, backend, { batch: 1, repeats: 1 })
  expect(result).toMatchObject({ _tag: 'Left', left: { _tag: 'UnsupportedTraining' } })
})
