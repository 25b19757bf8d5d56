/**
 * A policy alone, on plain typed arrays: any training loop can ask it for masks.
 *
 *     npx tsx examples/policy.ts
 */
import { sparse } from 'chasec/promise'

const fc1 = { name: 'fc1', shape: [300, 784], outputAxis: 0, inputAxis: 1 }
const fc2 = { name: 'fc2', shape: [10, 300], outputAxis: 0, inputAxis: 1 }
const weights = [fc1, fc2].map(({ shape }) => new Float32Array(shape.reduce((n, d) => n * d, 1)).map(Math.random))

const policy = sparse.rigl({ density: 0.1, until: 750, every: 100 })
let state = await sparse.init({ layers: [fc1, fc2], streams: [] }, policy, 1)
for (let step = 1; step <= 1000; step++) {
  // Here your loop takes a step: forwards with `weights` times `state.masks`, backwards, and, unless `sparse.skipsStep(policy,
  // step)`, on.
  if (sparse.needs(policy, step) === 'nothing') continue
  const gradients = weights.map((array) => array.map(() => Math.random() - 0.5))
  const updated = await sparse.update(state, { weights, gradients }, step)
  state = updated.state
  for (const [l, { pruned, grown, restarted }] of updated.event?.layers.entries() ?? []) {
    for (const positions of [pruned, grown, restarted]) for (const i of positions) weights[l]?.fill(0, i, i + 1)
  }
  console.log(
    `step ${step}: density ${updated.event?.density.toFixed(3)}, grown ${updated.event?.layers[0]?.grown.length}`,
  )
}
