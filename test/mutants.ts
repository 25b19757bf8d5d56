/**
 * `npm run mutants`: takes one guarded condition out of a copy of the sources at a time and runs the tests that should
 * notice. A mutant that passes them is a guard that no test holds.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

interface Mutant {
  readonly guard: string
  readonly file: string
  readonly from: string
  readonly to: string
  readonly tests: string
}

const elimination = 'test/passes/channel-elimination.test.ts'

const mutants: ReadonlyArray<Mutant> = [
  {
    guard: 'a constant that meets padding does not go into the bias',
    file: 'src/ir/families/window.ts',
    from: 'w.pads === undefined || w.pads.every((p) => p === 0)',
    to: 'true',
    tests: elimination,
  },
  {
    guard: 'constants that meet padding keep a carrier',
    file: 'src/passes/channel-elimination/rules.ts',
    from: 'if (!owed || kept || carrier < 0) continue',
    to: 'if (owed || kept || carrier >= 0) continue',
    tests: elimination,
  },
  {
    guard: 'constant channels keep their number although nothing needs them',
    file: 'src/passes/channel-elimination/analyse.ts',
    from: '(l === 1 || !Number.isNaN(known?.[i] ?? NaN) ? 1 : 0)',
    to: '(l === 1 ? 1 : 0)',
    tests: elimination,
  },
  {
    guard: 'dead channels behind partial operators are computed as before',
    file: 'src/passes/channel-elimination/index.ts',
    from: 'if (op.partial !== true) return []',
    to: 'if (op.partial !== undefined || op.partial === undefined) return []',
    tests: elimination,
  },
  {
    guard: 'graph outputs are pinned',
    file: 'src/passes/channel-elimination/relate.ts',
    from: 'for (const { name } of graph.outputs)',
    to: 'for (const { name } of graph.outputs.slice(0, 0))',
    tests: elimination,
  },
  {
    guard: 'an axis that an operator mixes is pinned',
    file: 'src/passes/channel-elimination/relate.ts',
    from: 'if (!summed && !chosen.some((l) => l.input === port && l.inputAxis === axis)) pin(value, axis, mixed)',
    to: 'if (summed && !chosen.some((l) => l.input === port && l.inputAxis === axis)) pin(value, axis, mixed)',
    tests: elimination,
  },
  {
    guard: 'grouped convolutions keep groups of one size',
    file: 'src/ir/families/contraction.ts',
    from: 'if (c.groups === 1 || weight === undefined) return',
    to: 'if (c.groups >= 1 || weight === undefined) return',
    tests: elimination,
  },
  {
    guard: 'a shared initializer is copied on write',
    file: 'src/passes/channel-elimination/shrink.ts',
    from: 'const alone = readers.length === 1',
    to: 'const alone = readers.length >= 1',
    tests: elimination,
  },
  {
    guard: 'a value that gives its partner its size is not written as a small constant',
    file: 'src/passes/propagate-constants.ts',
    from: 'if (keepsTypes(graph, next, types, constants)) current = next',
    to: 'current = next',
    tests: elimination,
  },
  {
    guard: 'average pooling that counts its padding makes no constant of a constant',
    file: 'src/ir/ops/average-pool.ts',
    from: 'return c === 0 || skipsPadding || staysInside(attrs) ? c : undefined',
    to: 'return c === 0 || !skipsPadding || staysInside(attrs) ? c : undefined',
    tests: elimination,
  },
  {
    guard: 'padding with another number makes no constant of a constant',
    file: 'src/ir/ops/pad.ts',
    from: "return x === fill || ctx.attrs.mode !== 'constant' || !bordered ? x : undefined",
    to: 'return x',
    tests: elimination,
  },
  {
    guard: 'folding takes only a value that nothing else reads',
    file: 'src/passes/channel-affine.ts',
    from: 'if (reader === undefined || others.length > 0 || fixedNames(graph).has(value)) return undefined',
    to: 'if (reader === undefined || fixedNames(graph).has(value)) return undefined',
    tests: 'test/passes',
  },
  {
    guard: 'a constant along the width is not folded as one along the channels',
    file: 'src/passes/fold-affine.ts',
    from: 'size !== 1 && (a + missing !== axis || size !== channels)',
    to: 'size !== 1 && size !== channels',
    tests: 'test/passes',
  },
  {
    guard: 'a shift before padding is not folded into the bias',
    file: 'src/passes/channel-affine.ts',
    from: 'if (!c.uniform || biasPort(linear) === undefined) return undefined',
    to: 'if (biasPort(linear) === undefined) return undefined',
    tests: 'test/passes',
  },
]

const root = fileURLToPath(new URL('..', import.meta.url))
const copy = mkdtempSync(join(tmpdir(), 'chasec-mutants-'))
for (const part of ['src', 'test', 'golden', 'package.json', 'tsconfig.json', 'vitest.config.ts']) {
  cpSync(join(root, part), join(copy, part), { recursive: true })
}
symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
symlinkSync(join(root, 'dist'), join(copy, 'dist'))

const passes = (tests: string): boolean =>
  spawnSync('npx', ['vitest', 'run', tests, '--bail', '1'], { cwd: copy, stdio: 'ignore' }).status === 0

let survivors = 0
try {
  for (const tests of new Set(mutants.map((m) => m.tests))) {
    if (!passes(tests)) throw new Error(`${tests} fails without any mutant`)
  }
  for (const { guard, file, from, to, tests } of mutants) {
    const path = join(copy, file)
    const text = readFileSync(path, 'utf8')
    if (text.split(from).length !== 2) throw new Error(`${file} does not hold this once: ${from}`)
    writeFileSync(
      path,
      text.replace(from, () => to),
    )
    const survived = passes(tests)
    writeFileSync(path, text)
    if (survived) survivors += 1
    console.log(`${survived ? 'SURVIVED' : 'killed  '} ${guard} (${file}, by ${tests})`)
  }
} finally {
  rmSync(copy, { recursive: true, force: true })
}
console.log(`${mutants.length - survivors} of ${mutants.length} mutants killed`)
if (survivors > 0) process.exitCode = 1
