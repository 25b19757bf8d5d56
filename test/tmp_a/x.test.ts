import { readdirSync, readFileSync } from 'node:fs'
import * as E from 'fp-ts/lib/Either.js'
import { test } from 'vitest'
import * as M from '../../src/read/model.ts'
import { inflate } from '../inflate.ts'
test('x', () => {
  console.log(Object.keys(M))
  for (const f of readdirSync('test/models').filter((f) => f.endsWith('.onnx'))) {
    const g: any = M.readModelBytes(inflate(f.slice(0,-5), 1))
    if (E.isLeft(g)) { console.log(f, g.left); continue }
    const G: any = (g as any).right
    const op = G.nodes.filter((n: any) => n.op === 'Opaque').map((n: any) => n.attrs.opType + ': ' + n.attrs.reason)
    let anon = 0, unk = 0
    for (const [, t] of G.types) { if (t.kind === 'other' || t.shape === undefined) unk++; else if (t.shape.some((d: any) => typeof d === 'string' && d.startsWith('?'))) anon++ }
    console.log(f, G.nodes.length, 'opaque', [...new Set(op)].slice(0, 5), 'unknown', unk, 'anon', anon)
  }
})
