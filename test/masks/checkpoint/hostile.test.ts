import { readFileSync } from 'node:fs'
import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, it } from 'vitest'
import { renderError } from '../../../src/ir/failure.ts'
import type { FileContents } from '../../../src/masks/file-entry.ts'
import { decodeFile } from '../../../src/masks/files.ts'
import { concat, utf8, zip } from '../files.ts'
import {
  archive,
  bytes,
  call,
  dict,
  global,
  int,
  ints,
  join,
  list,
  little,
  pickle,
  storage,
  str,
  tensor,
  tuple,
} from './assemble.ts'

/** Names, notes, and what is wrong with a file; decodes everything that it offers. */
const read = (file: Uint8Array): string => {
  const contents = decodeFile(file)
  if (E.isLeft(contents)) {
    expect(contents.left._tag).toBe('TensorFileError')
    return `error: ${renderError(contents.left)}`
  }
  const { entries, notes } = contents.right
  return [
    ...entries.map((entry) => {
      const decoded = entry.decode()
      return `${[...(entry.within ?? []), entry.name].join('/')} ${E.isLeft(decoded) ? renderError(decoded.left) : `[${decoded.right.shape.join(',')}]`}`
    }),
    ...notes,
  ].join('; ')
}

const contentsOf = (file: Uint8Array): FileContents => {
  const contents = decodeFile(file)
  if (E.isLeft(contents)) throw new Error(renderError(contents.left))
  return contents.right
}

/** A checkpoint of one honest tensor `w` and something else. */
const beside = (part: Uint8Array | string): Uint8Array => archive(pickle('}(', str('w'), tensor(), str('x'), part, 'u'))

const inert = (name: string): string => `w [2,3]; Objects of class ${name} were passed over.`
const warned = (name: string): string =>
  `w [2,3]; The file wants ${name} called when it is loaded: it was not, and Python should not load this file.; Objects of class ${name} were passed over.`

describe('pickles that call functions', () => {
  const command = str('touch /tmp/chasec-was-here')
  it.each<readonly [string, Uint8Array, string]>([
    ['GLOBAL and REDUCE', call(global('os', 'system'), command), warned('os.system')],
    ['STACK_GLOBAL', call(join(str('posix'), str('system'), '\x93'), command), warned('posix.system')],
    ['INST', join('(', command, 'isubprocess\nPopen\n'), warned('subprocess.Popen')],
    ['OBJ', join('(', global('builtins', 'eval'), command, 'o'), warned('builtins.eval')],
    ['NEWOBJ', join(global('subprocess', 'Popen'), tuple(command), '\x81'), warned('subprocess.Popen')],
    ['NEWOBJ_EX', join(global('subprocess', 'Popen'), tuple(command), '}\x92'), warned('subprocess.Popen')],
    ['Python 2 names', call(global('__builtin__', 'eval'), command), warned('builtins.eval')],
    [
      'BUILD, which calls __setstate__',
      join(call(global('torch', 'Evil')), dict({ a: command }), 'b'),
      inert('torch.Evil'),
    ],
    ['an extension code', join('\x82\x05', tuple(command), 'R'), inert('copyreg.extension5')],
    ['a wide extension code', join('\x84', little(4, 70_000), tuple(command), 'R'), inert('copyreg.extension70000')],
    [
      'functools.partial',
      call(global('functools', 'partial'), global('os', 'system'), command),
      inert('functools.partial'),
    ],
    [
      'the result of a call',
      call(call(global('builtins', 'getattr'), global('os', 'path'), str('x')), command),
      inert('unknown'),
    ],
    ['names that move the cursor', call(global('a\x1b[2J', 'b\rc'), command), inert('a??2J.b?c')],
    [
      'a name like ours',
      call(global('torch._utils', '_rebuild_tensor_v2.__globals__'), command),
      inert('torch._utils._rebuild_tensor_v2.__globals__'),
    ],
    ['a name like none of ours', call(global('constructor', '__proto__'), command), inert('constructor.__proto__')],
  ])('%s', (_, part, expected) => expect(read(beside(part))).toBe(expected))

  it('are warned of when the result is thrown away', () => {
    const part = join(call(global('os', 'system'), command), '0N')
    expect(read(beside(part))).toMatch(/^w \[2,3\]; The file wants os.system called .* should not load this file\.$/)
  })

  it('run nothing in plain pickles and in what a storage is to be loaded from', () => {
    const evil = pickle(call(global('os', 'system'), command))
    expect(read(evil)).toContain('it was not')
    const nested = call(global('torch.storage', '_load_from_bytes'), bytes(evil))
    const whole = call(global('torch._utils', '_rebuild_tensor_v2'), nested, int(0), ints(1), ints(1), '\x89', 'N')
    expect(read(pickle(dict({ w: whole })))).toContain('error: checkpoint: expected memory in the legacy format')
  })
})

describe('pickles that ask for much', () => {
  it.each<readonly [string, Uint8Array | string, RegExp]>([
    ['BINUNICODE8 of 2^62 bytes', join('\x8d', little(8, 2n ** 62n)), /end of the file/],
    ['BINBYTES8 of 2^64 - 1 bytes', join('\x8e', little(8, 2n ** 64n - 1n)), /end of the file/],
    ['BYTEARRAY8 of 2^40 bytes', join('\x96', little(8, 2n ** 40n)), /end of the file/],
    ['BINBYTES of 2^31 bytes', join('B', little(4, 2 ** 31)), /end of the file/],
    ['LONG4 of 2^31 bytes', join('\x8b', little(4, 2 ** 31)), /end of the file/],
    ['LONG4 of a negative length', join('\x8b\xff\xff\xff\xff'), /end of the file/],
    [
      'a frame beyond the end',
      join('\x95', little(8, 2n ** 62n)),
      /a frame within the \d+ bytes that are left, found 46116860184273\d+ bytes/,
    ],
    ['memory kept elsewhere', '\x97', /data kept outside/],
    ['protocol 6', '\x80\x06', /protocol 0 to 5, found protocol 6/],
    ['an unknown instruction', '\xff', /an instruction of a pickle, found byte 255/],
    ['a tuple of more than there is', '0000\x87', /empty stack/],
    ['a mark that is not there', '000e', /empty stack|a mark/],
    ['what nothing was remembered as', 'h\x07', /a value remembered as number 7/],
    ['the memo of 2^32 - 1', 'j\xff\xff\xff\xff', /remembered as number 4294967295/],
    ['a key without a value', '}(Nu', /a key without one/],
    ['an append to a number', join(int(1), 'Na'), /a list, found something else/],
    ['an item of a list', join(']', str('a'), 'Ns'), /a dictionary, found something else/],
    ['a state of a dictionary', '}}b', /an object to give a state to/],
    ['a class without a name', 'NN\x93', /the name of a class/],
    ['an integer of letters', 'Ixyz\n', /an integer/],
    ['an endless line', 'c', /end of the file/],
  ])('%s', (_, part, message) => expect(read(pickle('N', part))).toMatch(message))

  it('take no more than a step for each byte', () => {
    const many = 1_000_000
    const deep = new Uint8Array(many).fill(0x5d)
    expect(read(pickle(deep, new Uint8Array(many - 1).fill(0x61)))).toBe(
      'Containers within 64 others were passed over.',
    )
    expect(read(pickle(new Uint8Array(many).fill(0x28)))).toMatch(/empty stack/)
    expect(read(pickle('N', new Uint8Array(many).fill(0x85)))).toBe('Containers within 64 others were passed over.')
    expect(read(pickle(new Uint8Array(5 * many).fill(0x7d)))).toMatch(/at most 4000000 objects/)
  })

  it('keep integers that are no sizes as they are', () => {
    const huge = join('\x8b', little(4, 100_000), new Uint8Array(100_000).fill(0x7f))
    expect(read(beside(huge))).toBe('w [2,3]')
  })
})

describe('containers that contain themselves', () => {
  it('are gone through once', () => {
    // l = [l, {'w': tensor, 'l': l}]
    const whole = pickle(']q\x01(h\x01}(', str('w'), tensor(), str('l'), 'h\x01ue')
    expect(read(archive(whole))).toBe('1/w [2,3]')
    const owner = pickle(join(global('a', 'B'), ')\x81q\x01}(', str('self'), 'h\x01', str('w'), tensor(), 'ub'))
    expect(read(archive(owner))).toBe('w [2,3]; Of objects of class a.B only the tensors were read.')
  })

  it('are looked at under several names, but not under 2^40', () => {
    const shared = pickle('}(', str('a'), dict({ w: tensor() }), 'q\x01', str('b'), 'h\x01u')
    expect(read(archive(shared))).toBe('a/w [2,3]; b/w [2,3]')
    const remembered = (i: number): string => `h${String.fromCharCode(i)}`
    const levels = Array.from({ length: 40 }, (_, i) =>
      join('0', tuple(remembered(i), remembered(i)), `q${String.fromCharCode(i + 1)}`),
    )
    const laughs = pickle(list(tensor()), 'q\x00', ...levels)
    const contents = contentsOf(archive(laughs))
    expect(contents.notes).toEqual([
      'Containers that the file has under several names were not looked at under all of them.',
    ])
    expect(contents.entries.length).toBeLessThan(100_000)
    expect(contents.entries.length).toBeGreaterThan(1)
  })

  it('are no tensors, however often a parameter wraps one', () => {
    const wrap = global('torch._utils', '_rebuild_parameter')
    let inner = tensor()
    for (let i = 0; i < 20; i++) inner = call(wrap, inner, '\x88', 'N')
    expect(read(archive(pickle(dict({ w: inner }))))).toContain('one within another, many times over')
  })

  it('may be no more tensors than any model has', () => {
    expect(read(archive(pickle('](', tensor(), 'q\x01', 'h\x01'.repeat(200_001), 'e')))).toContain(
      'at most 200000 tensors',
    )
  })

  it('have names, not properties', () => {
    const tricky = dict({ ['__proto__']: tensor(), constructor: tensor(), toString: tensor() })
    expect(read(archive(pickle(tricky)))).toBe('__proto__ [2,3]; constructor [2,3]; toString [2,3]')
    expect({}).not.toHaveProperty('shape')
  })

  it('have the last value of a key that comes twice, as in Python', () => {
    const twice = join('}(', str('w'), tensor(), str('w'), tensor({ shape: [3], strides: [1] }), 'u')
    expect(read(archive(pickle(twice)))).toBe('w [3]')
  })

  it('may not have names without end', () => {
    const long = 'x'.repeat(1001)
    expect(read(archive(pickle(dict({ [long]: tensor(), w: tensor() }))))).toBe(
      'w [2,3]; Items with names of more than 1000 characters were passed over.',
    )
  })
})

const only = (part: Uint8Array, memory?: Readonly<Record<string, Uint8Array>>): string =>
  read(archive(pickle(dict({ w: part })), memory))

describe('tensors that lie', () => {
  it.each<readonly [string, Uint8Array, RegExp]>([
    [
      'more elements than their memory',
      tensor({ shape: [7], strides: [1] }),
      /within the 6 elements of its memory, found \[7\]/,
    ],
    ['an offset beyond', tensor({ offset: 1 }), /within the 6 elements/],
    ['an offset of 2^62', tensor({ offset: 2n ** 62n }), /from 0 on/],
    ['a negative offset', tensor({ offset: -1 }), /from 0 on/],
    ['a negative size', tensor({ shape: [-2, 3] }), /from 0 on/],
    ['a negative stride', tensor({ strides: [-3, 1] }), /from 0 on/],
    ['a size of 2^62', tensor({ shape: [2n ** 62n], strides: [0] }), /from 0 on/],
    ['sizes whose product overflows', tensor({ shape: [2 ** 40, 2 ** 40], strides: [0, 0] }), /fewer than 2\^53/],
    ['a stride of 2^53 - 1', tensor({ strides: [2 ** 53 - 1, 1] }), /within the 6 elements/],
    ['a stride too few', tensor({ strides: [1] }), /a stride for every axis/],
    [
      '2^50 elements for one',
      tensor({ shape: [2 ** 50], strides: [0] }),
      /^Tensors that would take 4503599627370496 bytes, for which the file has 24, were passed over\.$/,
    ],
    [
      'too many axes',
      tensor({ shape: Array.from({ length: 33 }, () => 1), strides: Array.from({ length: 33 }, () => 1) }),
      /from 0 on/,
    ],
    ['memory of another length', tensor({ count: 7 }), /28 bytes, as the pickle says, found 24/],
    ['memory of 2^62 elements', tensor({ count: 2n ** 62n }), /memory that the file holds/],
    ['memory that is not there', tensor({ key: '1' }), /expected the file archive\/data\/1, found none/],
    [
      'memory with a path for a name',
      tensor({ key: '../../../etc/passwd' }),
      /the file archive\/data\/..\/..\/..\/etc\/passwd, found none/,
    ],
    [
      'memory of an unknown class',
      tensor({ type: 'Evil' }),
      /^Tensors in memory of class torch.EvilStorage were passed over/,
    ],
    [
      'memory that is a number',
      call(global('torch._utils', '_rebuild_tensor_v2'), int(1), int(0), ints(), ints()),
      /memory that the file holds/,
    ],
    [
      'a persistent id that is no memory',
      call(global('torch._utils', '_rebuild_tensor_v2'), join(str('x'), 'Q')),
      /memory that the file holds/,
    ],
    ['no arguments', call(global('torch._utils', '_rebuild_tensor_v2')), /memory that the file holds/],
    [
      'a parameter of nothing',
      call(global('torch._utils', '_rebuild_parameter'), 'N'),
      /^Parameters that hold no tensor/,
    ],
  ])('%s', (_, part, message) => expect(only(part)).toMatch(message))

  it('may overlap in their memory, and be empty anywhere', () => {
    expect(only(tensor({ shape: [3, 3], strides: [1, 1] }))).toBe('w [3,3]')
    expect(only(tensor({ shape: [0, 2 ** 30], strides: [1, 1], offset: 99 }))).toBe('w [0,1073741824]')
  })

  const layout = (name: string): Uint8Array => call(global('torch.serialization', '_get_layout'), str(name))
  const sparse = (indices: ReadonlyArray<number>, shape: ReadonlyArray<number | bigint>, values = 2): string =>
    only(
      call(
        global('torch._utils', '_rebuild_sparse_tensor'),
        layout('torch.sparse_coo'),
        tuple(
          tensor({
            type: 'Long',
            key: '1',
            count: indices.length,
            shape: [1, indices.length],
            strides: [indices.length, 1],
          }),
          tensor({ count: values, shape: [values], strides: [1] }),
          ints(...shape),
        ),
      ),
      { 0: new Uint8Array(4 * values), 1: new Uint8Array(BigInt64Array.from(indices, BigInt).buffer) },
    )

  it('may be sparse, within their shape', () => {
    expect(sparse([0, 3], [4])).toBe('w [4]')
    expect(sparse([0, 4], [4])).toMatch(/indices within shape \[4\], found one beyond/)
    expect(sparse([0, -1], [4])).toMatch(/one beyond/)
    expect(sparse([1, 1], [4])).toMatch(/every index once, found one twice. Save tensor.coalesce\(\)/)
    expect(sparse([0, 1], [4], 3)).toMatch(/an index for every value/)
    expect(sparse([0, 1], [2 ** 50])).toMatch(/would take 4503599627370496 bytes/)
    expect(sparse([0, 1], [2n ** 60n])).toMatch(/indices, values and a shape/)
  })

  it('may be arrays of numpy, of the bytes there are', () => {
    const array = (shape: ReadonlyArray<number>, type: string, data: Uint8Array | string): string =>
      only(
        join(
          call(global('numpy.core.multiarray', '_reconstruct'), global('numpy', 'ndarray'), ints(0), 'N'),
          tuple(int(1), ints(...shape), call(global('numpy', 'dtype'), str(type)), '\x89', data),
          'b',
        ),
      )
    expect(array([2], 'f4', bytes(new Uint8Array(8)))).toBe('w [2]')
    expect(array([3], 'f4', bytes(new Uint8Array(8)))).toMatch(/12 bytes for float32\[3\], found 8/)
    expect(array([2 ** 52], 'f4', bytes(new Uint8Array(8)))).toMatch(/18014398509481984 bytes/)
    expect(array([-1], 'f4', bytes(new Uint8Array(8)))).toMatch(/a shape of whole numbers/)
    expect(array([1], 'O', list(call(global('os', 'system'))))).toMatch(
      /it was not, .* no plain numbers were passed over/,
    )
    const encoded = (text: string, encoding = 'latin1'): Uint8Array =>
      call(global('_codecs', 'encode'), str(text), str(encoding))
    expect(array([2], 'u1', encoded('aÿ'))).toBe('w [2]')
    expect(array([2], 'u1', encoded('aĀ'))).toMatch(/2 bytes for uint8\[2\], found a text/)
    expect(array([2], 'u1', encoded('ab', 'evil'))).toMatch(/no plain numbers/)
  })
})

const fixture = (name: string): Uint8Array => new Uint8Array(readFileSync(new URL(`fixtures/${name}`, import.meta.url)))

describe('truncated files', () => {
  it.each(['run-legacy.pt', 'module-legacy.pt', 'run.pt', 'numpy-0.pkl', 'numpy-5.pkl', 'tensors-4.pkl'])(
    '%s, cut off at every byte',
    (name) => {
      const whole = fixture(name)
      for (let length = 0; length < whole.length; length++) expect(read(whole.subarray(0, length))).toMatch(/^error: /)
    },
  )

  it.each(['run-legacy.pt', 'numpy-5.pkl'])('%s, with a byte more', (name) => {
    expect(read(concat(fixture(name), Uint8Array.of(0)))).toMatch(/expected nothing after its/)
  })
})

describe('archives', () => {
  const honest = pickle(dict({ w: tensor() }))

  it('are checkpoints of any name, with one pickle', () => {
    const memory = { name: 'data/0', content: new Uint8Array(24) }
    expect(read(zip([{ name: 'data.pkl', content: honest }, memory]))).toBe('w [2,3]')
    expect(read(archive(honest, undefined, [{ name: 'b/data.pkl', content: honest }]))).toMatch(
      /^error: zip entry archive\/data.pkl: expected arrays only/,
    )
  })

  it('say their byte order', () => {
    const order = (text: string): string =>
      read(archive(honest, undefined, [{ name: 'archive/byteorder', content: utf8(text) }]))
    expect(order('little')).toBe('w [2,3]')
    expect(order('big')).toBe('w [2,3]')
    expect(order('middle')).toMatch(/the byte order little or big/)
    expect(order('x'.repeat(1000))).toMatch(/the byte order little or big, found 1000 bytes/)
  })

  it('are checked where there are checksums', () => {
    const content = new Uint8Array(24)
    const file = (crc: number): string =>
      read(
        zip([
          { name: 'a/data.pkl', content: honest },
          { name: 'a/data/0', content, crc },
        ]),
      )
    expect(file(5)).toMatch(/w zip entry a\/data\/0: expected data with the checksum/)
    expect(
      read(
        zip([
          { name: 'a/data.pkl', content: honest, crc: 0, flags: 8 },
          { name: 'a/data/0', content, crc: 0, flags: 8 },
        ]),
      ),
    ).toBe('w [2,3]')
  })

  it('may not inflate to more than they say, nor to a pickle without end', () => {
    const bomb = { name: 'a/data.pkl', content: new Uint8Array(2 ** 24).fill(0x7d), deflated: true }
    expect(read(zip([bomb]))).toMatch(/at most 4000000 objects/)
    expect(read(zip([{ ...bomb, compressed: 2 ** 20, size: 2 ** 29, crc: 0 }]))).toMatch(/^error/)
  })
})

describe('what else is in a checkpoint', () => {
  it('is told from a state dict by its class, not guessed', () => {
    const shard = join(
      global('torch.distributed._shard.sharded_tensor.api', 'ShardedTensor'),
      ')\x81',
      tuple(tensor()),
      'b',
    )
    expect(only(shard)).toBe(
      'Parts of tensors that are spread over several processes were passed over; save a full state dict.',
    )
    const wrapper = global('torch._utils', '_rebuild_wrapper_subclass')
    const subclass = (type: Uint8Array): Uint8Array =>
      call(global('torch._tensor', '_rebuild_from_type_v2'), wrapper, type, tuple(type), dict({ inner: tensor() }))
    expect(only(subclass(global('torch.distributed.tensor', 'DTensor')))).toContain('save a full state dict')
    expect(only(subclass(global('torchao.dtypes', 'Affine')))).toContain('data of their own')
    const kept = call(
      global('torch._tensor', '_rebuild_from_type_v2'),
      global('torch._utils', '_rebuild_tensor_v2'),
      global('a', 'B'),
      tuple(storage(), int(0), ints(6), ints(1), '\x89', 'N'),
      '}',
    )
    expect(only(kept)).toBe('w [6]')
  })
})
