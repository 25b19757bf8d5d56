import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, it } from 'vitest'
import { parseYaml } from '../../src/read/yaml.ts'

describe('YAML', () => {
  it.each([
    ['a: 1\nb: [x, null, 2.5]\n', { a: 1, b: ['x', null, 2.5] }],
    ['{"a": {"b": [true]}}', { a: { b: [true] } }],
    ['# nothing\n', null],
    ['12: x\n', { 12: 'x' }],
  ])('is read: %j', (text, value) => {
    expect(parseYaml(text)).toEqual(E.right(value))
  })

  it.each([
    ['an alias', 'a: &a [1]\nb: *a\n', 'the alias *a'],
    [
      'a bomb of aliases',
      `a: &a [x]\n${'bcdefgh'.replace(/./g, (c, i: number) => `${c}: &${c} [${`*${'abcdefgh'[i]},`.repeat(9)}]\n`)}`,
      'the alias',
    ],
    ['a key twice', 'a: 1\na: 2\n', 'the key a twice'],
    ['keys in keys', '? '.repeat(400), 'a key that is'],
    ['lists in lists', `${'['.repeat(200)}${']'.repeat(200)}`, 'more than 100'],
    ['lists deeper than the stack', '['.repeat(100_000), ''],
    ['a wrong merge', '%YAML 1.1\n---\n<<: 1\na: 1\n', 'Merge sources'],
    ['no end', '"abc', 'line 1, column'],
    ['a tab', 'a:\n\tb: 1\n', 'a tab where spaces have to indent the line at line 2, column 1 (b: 1)'],
    ['a line too far left', 'a:\n    b: 1\n  c: 2\n', 'indented otherwise than the lines that it belongs to at line 3'],
    ['two keys on a line', 'a: b: 1\n', 'a second key on the line of another at line 1, column 4 (a: b: 1)'],
    ['no colon', 'a: 1\nnothing\nb: 2\n', 'a line without a colon where a key is due at line 2'],
    ['lines in brackets', 'a: [\n  - 1\n]\n', 'an entry on a line of its own inside of brackets at line 2'],
    [
      'a sign at the start',
      'a: @b\n',
      'begins with a character that YAML keeps for itself at line 1, column 4 (a: @b)',
    ],
    ['two documents', 'a: 1\n---\nb: 2\n', 'a second document at line 2, column 1 (---)'],
    ['too much', ' '.repeat(2 ** 20 + 1), 'characters'],
  ])('is refused in words: %s', (_, text, found) => {
    expect(parseYaml(text)).toMatchObject({ left: expect.stringContaining(found) })
  })
})
