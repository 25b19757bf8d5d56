import { it } from 'vitest'
import * as E from 'fp-ts/lib/Either.js'
import { readModelBytes } from '../src/read/model.ts'
import { pruneChannels } from '../src/passes/prune.ts'
import { compile } from '../src/passes/compile.ts'
import { inflate } from './inflate.ts'
it('x', () => {
for (const name of (process.env['M'] ?? '').split(',')) for (const scope of ['block', 'all'] as const) {
  const g = readModelBytes(inflate(name))
  if (E.isLeft(g)) { console.log(name, g.left); continue }
  let t = performance.now()
  const p = pruneChannels(g.right, new Map(), { channels: 0.4, score: 'umm', scope, floor: 0.2, seed: 1 })
  if (E.isLeft(p)) { console.log(name, p.left); continue }
  const r = p.right
  console.log(name, scope, (performance.now() - t).toFixed(0), 'ms', 'groups', r.groups.length, 'channels', r.groups.reduce((n, g) => n + g.channels, 0), 'wanted', r.wanted, 'removed', r.removed, 'sat', r.groups.filter((g) => g.saturated).length, 'kept', r.kept.length, r.note)
  for (const k of r.kept.slice(0, 4)) console.log('   ', k.layer, k.reason)
  t = performance.now()
  const c = compile(g.right, r.masks)
  if (E.isLeft(c)) { console.log(c.left); continue }
  console.log('   compile', (performance.now() - t).toFixed(0), 'params', c.right.report.before.parameters, c.right.report.after.parameters, 'macs', c.right.report.before.macs, c.right.report.after.macs)
}
}, 600000)
