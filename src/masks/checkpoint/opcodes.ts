/**
 * The instructions of pickles, protocols 0 to 5, each one step of the machine. None calls or imports anything: what a
 * pickle wants called is written down as {@link Made}.
 * Format: https://github.com/python/cpython/blob/main/Lib/pickletools.py
 */
import { fromDecimal, fromLittleEndian } from './integer.ts'
import {
  counted,
  double,
  line,
  type Machine,
  pop,
  popMark,
  type Problem,
  signed,
  textOf,
  top,
  truncated,
  underflow,
  unsigned,
} from './machine.ts'
import { isTagged, type Made, nameOf, type Persistent, type Value } from './value.ts'

/** One instruction; gives what is wrong, if anything is. */
type Step = (m: Machine) => Problem | undefined

const noMark: Problem = ['a mark on the stack', 'none']

/** Puts a value on the stack; undefined stands for the end of the file. */
const push = (m: Machine, value: Value | undefined): Problem | undefined => {
  if (value === undefined) return truncated
  m.stack.push(value)
  return undefined
}

const constant =
  (value: Value): Step =>
  (m) =>
    push(m, value)

const tuple =
  (length: number): Step =>
  (m) => {
    if (m.stack.length - length < (m.marks.at(-1) ?? 0)) return underflow
    return push(m, { tag: 'tuple', items: m.stack.splice(m.stack.length - length) })
  }

const text =
  (width: 1 | 4 | 8): Step =>
  (m) => {
    const utf8 = counted(m, width)
    return push(m, utf8 && textOf(utf8))
  }

const bytes =
  (width: 1 | 4 | 8): Step =>
  (m) =>
    push(m, counted(m, width))

/** The strings of Python 2 may be either: text where they read as it. */
const bytesOrText =
  (width: 1 | 4): Step =>
  (m) => {
    const raw = counted(m, width)
    const read = raw && textOf(raw)
    return push(m, typeof read === 'string' ? read : raw)
  }

const long =
  (width: 1 | 4): Step =>
  (m) => {
    const digits = counted(m, width)
    return push(m, digits && fromLittleEndian(digits))
  }

/** Longer lines than this are not looked into: they are of protocol 0, which writes arrays as text. */
const longestLine = 65_536

/** A line of ASCII, or of Latin-1, whose characters are its bytes. */
const characters = (raw: Uint8Array): string => Array.from(raw, (byte) => String.fromCharCode(byte)).join('')

const lineAs = (m: Machine, parse: (text: string) => Value | undefined, what: string): Problem | undefined => {
  const raw = line(m)
  if (raw === undefined) return truncated
  if (raw.length > longestLine) {
    return [`lines of at most ${longestLine} bytes, or pickle protocol 2 and later`, `${raw.length} bytes`]
  }
  const value = parse(characters(raw))
  return value === undefined ? [what, 'something else'] : push(m, value)
}

const escapes: ReadonlyMap<string, string> = new Map([
  ['\\n', '\n'],
  ['\\r', '\r'],
  ['\\t', '\t'],
])

/** What Python 2's `repr` of a string stands for: bytes, or text where they read as it. */
const unquoted = (quoted: string): Value | undefined => {
  const inner = /^(['"])([^]*)\1$/.exec(quoted)?.[2]
  const text = inner?.replaceAll(/\\(?:x([\da-f]{2})|[^])/g, (escape, hex: string | undefined) =>
    hex === undefined ? (escapes.get(escape) ?? escape.slice(1)) : String.fromCharCode(parseInt(hex, 16)),
  )
  if (text === undefined) return undefined
  const raw = Uint8Array.from(text, (c) => c.charCodeAt(0))
  const read = textOf(raw)
  return typeof read === 'string' ? read : raw
}

const put = (m: Machine, index: number | undefined): Problem | undefined => {
  if (index === undefined) return truncated
  const value = top(m)
  if (value === undefined) return underflow
  m.memo.set(index, value)
  return undefined
}

const get = (m: Machine, index: number | undefined): Problem | undefined => {
  if (index === undefined) return truncated
  const value = m.memo.get(index)
  return value === undefined ? [`a value remembered as number ${index}`, 'none'] : push(m, value)
}

const indexed = (m: Machine): number | undefined => {
  const raw = line(m)
  const read = raw && textOf(raw)
  const index = typeof read === 'string' ? fromDecimal(read) : undefined
  return typeof index === 'number' ? index : undefined
}

const names = new TextDecoder()

const global = (m: Machine, module: Uint8Array | undefined, name: Uint8Array | undefined): Problem | undefined =>
  push(m, module && name && { tag: 'global', module: names.decode(module), name: names.decode(name) })

const extension =
  (width: 1 | 2 | 4): Step =>
  (m) => {
    const code = unsigned(m, width)
    return push(m, code === undefined ? undefined : { tag: 'global', module: 'copyreg', name: `extension${code}` })
  }

/** Names beyond this many are not kept. */
const callLimit = 1000

const made = (m: Machine, callee: Value | undefined, args: Value | undefined): Problem | undefined => {
  if (callee === undefined || args === undefined) return underflow
  const name = nameOf(callee)
  if (name !== '' && m.calls.size < callLimit) m.calls.add(name)
  const value: Made = { tag: 'made', callee, args, items: undefined, pairs: undefined, state: undefined }
  return push(m, value)
}

const call: Step = (m) => {
  const args = pop(m)
  return made(m, pop(m), args)
}

const append = (m: Machine, values: ReadonlyArray<Value>): Problem | undefined => {
  const to = top(m)
  if (to === undefined) return underflow
  if (!isTagged(to) || (to.tag !== 'list' && to.tag !== 'set' && to.tag !== 'made')) return ['a list', 'something else']
  const items = to.tag === 'made' ? (to.items ??= []) : to.items
  for (const value of values) items.push(value)
  return undefined
}

const setItems = (m: Machine, values: ReadonlyArray<Value>): Problem | undefined => {
  const to = top(m)
  if (to === undefined) return underflow
  if (!isTagged(to) || (to.tag !== 'dict' && to.tag !== 'made')) return ['a dictionary', 'something else']
  if (values.length % 2 !== 0) return ['a value for every key', 'a key without one']
  const pairs = (to.pairs ??= new Map())
  for (let i = 0; i < values.length; i += 2) pairs.set(values[i] ?? null, values[i + 1] ?? null)
  return undefined
}

const appendMany: Step = (m) => {
  const values = popMark(m)
  return values === undefined ? noMark : append(m, values)
}

const pairsFrom = (values: ReadonlyArray<Value>): Map<Value, Value> | undefined => {
  const pairs = new Map<Value, Value>()
  for (let i = 0; i < values.length; i += 2) pairs.set(values[i] ?? null, values[i + 1] ?? null)
  return pairs.size === 0 ? undefined : pairs
}

const persistent = (m: Machine, id: Value | undefined): Problem | undefined => {
  if (id === undefined) return underflow
  const value: Persistent = { tag: 'persistent', id }
  m.persistent.push(value)
  return push(m, value)
}

/** The steps by their codes. The stop instruction ends the machine's loop and has none. */
export const steps: ReadonlyMap<number, Step> = new Map<number, Step>([
  // What holds for the whole pickle.
  [
    0x80,
    (m) => {
      const protocol = unsigned(m, 1)
      if (protocol === undefined) return truncated
      return protocol > 5 ? ['a pickle of protocol 0 to 5', `protocol ${protocol}`] : undefined
    },
  ],
  [
    0x95,
    (m) => {
      const length = unsigned(m, 8)
      if (length === undefined) return truncated
      const left = m.bytes.length - m.at
      return length > left ? [`a frame within the ${left} bytes that are left`, `${length} bytes`] : undefined
    },
  ],
  // The stack and the memo.
  [
    0x28, // (
    (m) => {
      m.marks.push(m.stack.length)
      return undefined
    },
  ],
  [
    0x30, // 0: takes a mark off as well
    (m) => {
      if (m.marks.length > 0 && m.marks.at(-1) === m.stack.length) m.marks.pop()
      else if (pop(m) === undefined) return underflow
      return undefined
    },
  ],
  [0x31, (m) => (popMark(m) === undefined ? noMark : undefined)], // 1
  [
    0x32, // 2
    (m) => {
      const value = top(m)
      return value === undefined ? underflow : push(m, value)
    },
  ],
  [0x70, (m) => put(m, indexed(m))], // p
  [0x71, (m) => put(m, unsigned(m, 1))], // q
  [0x72, (m) => put(m, unsigned(m, 4))], // r
  [0x94, (m) => put(m, m.memo.size)],
  [0x67, (m) => get(m, indexed(m))], // g
  [0x68, (m) => get(m, unsigned(m, 1))], // h
  [0x6a, (m) => get(m, unsigned(m, 4))], // j
  // Plain values.
  [0x4e, constant(null)], // N
  [0x88, constant(true)],
  [0x89, constant(false)],
  [0x49, (m) => lineAs(m, (t) => (t === '00' ? false : t === '01' ? true : fromDecimal(t)), 'an integer')], // I
  [0x4a, (m) => push(m, signed(m))], // J
  [0x4b, (m) => push(m, unsigned(m, 1))], // K
  [0x4d, (m) => push(m, unsigned(m, 2))], // M
  [0x4c, (m) => lineAs(m, (t) => fromDecimal(t.replace(/L$/, '')), 'an integer')], // L
  [0x8a, long(1)],
  [0x8b, long(4)],
  [0x46, (m) => lineAs(m, (t) => (t.trim() === '' ? undefined : Number(t)), 'a number')], // F
  [0x47, (m) => push(m, double(m))], // G
  [0x53, (m) => lineAs(m, unquoted, 'a quoted string')], // S
  [0x54, bytesOrText(4)], // T
  [0x55, bytesOrText(1)], // U
  [
    0x56, // V: text whose characters beyond Latin-1, and backslashes, are escaped
    (m) =>
      lineAs(
        m,
        (t) => t.replaceAll(/\\u([\da-f]{4})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))),
        'a text',
      ),
  ],
  [0x58, text(4)], // X
  [0x8c, text(1)],
  [0x8d, text(8)],
  [0x42, bytes(4)], // B
  [0x43, bytes(1)], // C
  [0x8e, bytes(8)],
  [0x96, bytes(8)],
  [0x97, () => ['a pickle that holds its data', 'data kept outside of it']],
  [0x98, (m) => (top(m) === undefined ? underflow : undefined)],
  // Containers.
  [0x5d, (m) => push(m, { tag: 'list', items: [] })], // ]
  [0x7d, (m) => push(m, { tag: 'dict', pairs: undefined })], // }
  [0x29, (m) => push(m, { tag: 'tuple', items: [] })], // )
  [0x8f, (m) => push(m, { tag: 'set', items: [] })],
  [0x85, tuple(1)],
  [0x86, tuple(2)],
  [0x87, tuple(3)],
  [
    0x74, // t
    (m) => {
      const items = popMark(m)
      return items === undefined ? noMark : push(m, { tag: 'tuple', items })
    },
  ],
  [
    0x6c, // l
    (m) => {
      const items = popMark(m)
      return items === undefined ? noMark : push(m, { tag: 'list', items })
    },
  ],
  [
    0x91,
    (m) => {
      const items = popMark(m)
      return items === undefined ? noMark : push(m, { tag: 'set', items })
    },
  ],
  [
    0x64, // d
    (m) => {
      const values = popMark(m)
      if (values === undefined) return noMark
      if (values.length % 2 !== 0) return ['a value for every key', 'a key without one']
      return push(m, { tag: 'dict', pairs: pairsFrom(values) })
    },
  ],
  [
    0x61, // a
    (m) => {
      const value = pop(m)
      return value === undefined ? underflow : append(m, [value])
    },
  ],
  [0x65, appendMany], // e
  [0x90, appendMany],
  [
    0x73, // s
    (m) => {
      const value = pop(m)
      const key = pop(m)
      return value === undefined || key === undefined ? underflow : setItems(m, [key, value])
    },
  ],
  [
    0x75, // u
    (m) => {
      const values = popMark(m)
      return values === undefined ? noMark : setItems(m, values)
    },
  ],
  // Names, and what a pickle wants called.
  [
    0x63, // c
    (m) => {
      const module = line(m)
      return global(m, module, module && line(m))
    },
  ],
  [
    0x93,
    (m) => {
      const name = pop(m)
      const module = pop(m)
      if (typeof name !== 'string' || typeof module !== 'string') return ['the name of a class', 'something else']
      return push(m, { tag: 'global', module, name })
    },
  ],
  [0x82, extension(1)],
  [0x83, extension(2)],
  [0x84, extension(4)],
  [0x52, call], // R
  [0x81, call],
  [
    0x92,
    (m) => {
      pop(m)
      return call(m)
    },
  ],
  [
    0x69, // i
    (m) => {
      const module = line(m)
      const name = module && line(m)
      if (module === undefined || name === undefined) return truncated
      const items = popMark(m)
      if (items === undefined) return noMark
      const callee: Value = { tag: 'global', module: names.decode(module), name: names.decode(name) }
      return made(m, callee, { tag: 'tuple', items })
    },
  ],
  [
    0x6f, // o
    (m) => {
      const [callee, ...items] = popMark(m) ?? []
      return callee === undefined ? noMark : made(m, callee, { tag: 'tuple', items })
    },
  ],
  [
    0x62, // b
    (m) => {
      const state = pop(m)
      const to = top(m)
      if (state === undefined || to === undefined) return underflow
      if (!isTagged(to) || to.tag !== 'made') return ['an object to give a state to', 'something else']
      to.state = state
      return undefined
    },
  ],
  // Things kept outside the pickle.
  [
    0x50, // P
    (m) => {
      const raw = line(m)
      return raw === undefined ? truncated : persistent(m, textOf(raw))
    },
  ],
  [0x51, (m) => persistent(m, pop(m))], // Q
])
