import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { afterAll, describe, expect, it } from 'vitest'
import { renderError } from '../../../src/ir/failure.ts'
import { decodeFile } from '../../../src/masks/files.ts'

const temporary = mkdtempSync(join(tmpdir(), 'chasec-checkpoint-'))
afterAll(() => rmSync(temporary, { recursive: true }))

const python = process.env['PYTHON'] ?? 'python3'
const run = (
  script: string,
  ...args: ReadonlyArray<string>
): { readonly code: number | null; readonly out: string } => {
  const { status, stdout, stderr } = spawnSync(python, ['-c', script, ...args], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  })
  return { code: status, out: `${stdout ?? ''}${status === 0 ? '' : stderr}` }
}
const missing = run('import torch').code === 0 ? '' : ` (skipped: ${python} with torch is not here)`

/** Random state dicts of random views, saved in each way; prints as JSON what each file holds. */
const writer = `
import json, pickle, random, sys, warnings
import torch
warnings.filterwarnings("ignore")
random.seed(7)
torch.manual_seed(7)
folder = sys.argv[1]
kinds = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool, torch.complex64, torch.uint16, torch.float8_e5m2]

def view(base):
    for _ in range(random.randrange(4)):
        step = random.randrange(6)
        if base.dim() == 0:
            break
        axis = random.randrange(base.dim())
        if step == 0: base = base.transpose(axis, random.randrange(base.dim()))
        elif step == 1: base = base.narrow(axis, 0, max(1, base.size(axis) - 1))
        elif step == 2: base = base.select(axis, base.size(axis) - 1)
        elif step == 3: base = base.unsqueeze(axis).expand(*base.shape[:axis], 3, *base.shape[axis:])
        elif step == 4: base = base[tuple(slice(None, None, 2) if a == axis else slice(None) for a in range(base.dim()))]
        else: base = base.movedim(axis, 0)
    return base

def raw(t):
    dense = torch.empty(t.shape, dtype=t.dtype)
    dense.copy_(t.detach())
    return bytes(dense.reshape(-1).view(torch.uint8).tolist()).hex() if t.numel() else ""

expected = []
for case in range(40):
    bases = [torch.randint(-100, 100, tuple(random.randrange(1, 5) for _ in range(random.randrange(1, 5)))).to(kind) for kind in random.sample(kinds, 3)]
    state = {}
    for i in range(random.randrange(1, 8)):
        base = random.choice(bases)
        t = base if base.dtype == torch.float8_e5m2 else view(base)
        if t.is_floating_point() and random.random() < 0.2: t = torch.nn.Parameter(t)
        state[f"layer{i}.weight"] = t
    value = random.choice([lambda: state, lambda: {"epoch": 1, "model": state}, lambda: [state]])()
    prefix = "" if value is state else ("model/" if isinstance(value, dict) else "0/")
    name = f"{case}.pt"
    way = case % 4
    if way == 0: torch.save(value, f"{folder}/{name}")
    elif way == 1: torch.save(value, f"{folder}/{name}", _use_new_zipfile_serialization=False)
    elif way == 2: torch.save(value, f"{folder}/{name}", pickle_protocol=random.choice([2, 3, 4, 5]))
    else:
        with open(f"{folder}/{name}", "wb") as f: pickle.dump(value, f, protocol=random.choice([2, 3, 4, 5]))
    expected.append([name, {prefix + k: [list(v.shape), raw(v)] for k, v in state.items()}])
print(json.dumps(expected))
`

type Expected = ReadonlyArray<readonly [string, Readonly<Record<string, readonly [ReadonlyArray<number>, string]>>]>

describe('PyTorch, where it is installed', () => {
  it.skipIf(missing !== '')(`saves what is read back bit for bit${missing}`, () => {
    const { code, out } = run(writer, temporary)
    expect([code, code === 0 ? '' : out]).toEqual([0, ''])
    const files: Expected = JSON.parse(out)
    expect(files).toHaveLength(40)
    for (const [name, tensors] of files) {
      const file = decodeFile(new Uint8Array(readFileSync(join(temporary, name))))
      if (E.isLeft(file)) throw new Error(`${name}: ${renderError(file.left)}`)
      const read = file.right.entries.map(({ within = [], name: key, decode }) => {
        const tensor = decode()
        if (E.isLeft(tensor)) throw new Error(`${name}: ${renderError(tensor.left)}`)
        return [[...within, key].join('/'), [tensor.right.shape, Buffer.from(tensor.right.bytes).toString('hex')]]
      })
      expect({ [name]: Object.fromEntries(read) }).toEqual({ [name]: tensors })
    }
  })

  it.skipIf(missing !== '')(`runs what a pickle says, and we do not${missing}`, () => {
    const marker = join(temporary, 'called')
    const text = `cos\nsystem\n(X${String.fromCharCode(marker.length + 6, 0, 0, 0)}touch ${marker}tR.`
    const evil = Uint8Array.from(`\x80\x02${text}`, (c) => c.charCodeAt(0))
    writeFileSync(join(temporary, 'evil.pkl'), evil)
    const file = decodeFile(evil)
    expect(E.isRight(file) && file.right.notes[0]).toContain('The file wants os.system called')
    const exists = `import os, sys; print(os.path.exists(sys.argv[1]))`
    expect(run(exists, marker).out.trim()).toBe('False')
    // The file does what the note says.
    expect(run(`import pickle, sys; pickle.load(open(sys.argv[1], 'rb'))`, join(temporary, 'evil.pkl')).code).toBe(0)
    expect(run(exists, marker).out.trim()).toBe('True')
  })
})
