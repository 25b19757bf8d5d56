/** Completion of command lines, in the shells themselves where they are installed. */
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chasec } from './chasec.ts'

const folder = mkdtempSync(join(tmpdir(), 'chasec-completion-'))
const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
const env = { ...process.env, PATH: `${folder}:${process.env['PATH'] ?? ''}`, HOME: folder, TERM: 'dumb' }

type Complete = (...words: ReadonlyArray<string>) => ReadonlyArray<string>

const shell = (program: string, ...args: ReadonlyArray<string>): ReadonlyArray<string> => {
  const { stdout, stderr, status } = spawnSync(program, args, { cwd: join(folder, 'work'), env, encoding: 'utf8' })
  if (status !== 0 || stderr !== '') throw new Error(`${program} ended with ${status}: ${stderr}`)
  return stdout.split('\n').filter((line) => line !== '')
}

const missing = (program: string): boolean => {
  const found = spawnSync(program, ['--version']).status === 0
  if (!found) process.stderr.write(`Completion in ${program} is not tested: ${program} is not installed.\n`)
  return !found
}

beforeAll(() => {
  writeFileSync(join(folder, 'chasec'), `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`)
  chmodSync(join(folder, 'chasec'), 0o755)
  mkdirSync(join(folder, 'work', 'data'), { recursive: true })
  for (const name of ['net.onnx', 'two words.onnx']) writeFileSync(join(folder, 'work', name), '')
})

afterAll(() => rmSync(folder, { recursive: true }))

describe.skipIf(missing('bash'))('in bash', () => {
  /** Words as bash takes them apart; the last is the one to be completed. */
  const complete: Complete = (...words) =>
    shell(
      'bash',
      '--norc',
      '-c',
      `source <(chasec completion bash)
       COMP_WORDS=(chasec "$@"); COMP_CWORD=$#; COMP_LINE="\${COMP_WORDS[*]}"; COMP_POINT=\${#COMP_LINE}
       _chasec
       printf '%s\\n' "\${COMPREPLY[@]}"`,
      'bash',
      ...words,
    )

  it('completes commands', () => {
    expect(complete('co')).toEqual(['compile', 'compare', 'completion'])
    expect(complete('help', 'tr')).toEqual(['train'])
    expect(complete('--v')).toEqual(['--version'])
    expect(complete('nothing', '')).toEqual([])
  })

  it('completes options, and their words', () => {
    expect(complete('prune', 'net.onnx', '--sc')).toEqual(['--score', '--scope'])
    expect(complete('compile', 'net.onnx', '--target', '')).toEqual(['cpu', 'cuda', 'webgpu'])
    expect(complete('compile', 'net.onnx', '--target', '=', 'c')).toEqual(['cpu', 'cuda'])
    expect(complete('compile', 'net.onnx', '--target', '=')).toEqual(['cpu', 'cuda', 'webgpu'])
    expect(complete('train', '--preset', 'chase-cifar-v')).toEqual(['chase-cifar-vgg19'])
    expect(complete('train', '--backend', 'w')).toEqual(['webgpu', 'wasm'])
    expect(complete('train', '--method', 'cha')).toEqual(['chase'])
    expect(complete('train', '--epochs', '')).toEqual([])
    expect(complete('completion', '')).toEqual(['bash', 'zsh', 'fish'])
  })

  it('completes files where files are read or written, and beside words', () => {
    expect(complete('compile', '')).toEqual(expect.arrayContaining(['net.onnx', 'two words.onnx', 'data']))
    expect(complete('compile', 'n')).toEqual(['net.onnx'])
    expect(complete('compile', 'net.onnx', 'n')).toEqual([])
    expect(complete('bench', 'net.onnx', 'net.onnx', 'n')).toEqual(['net.onnx'])
    expect(complete('compile', 'net.onnx', '--masks', '')).toEqual(expect.arrayContaining(['zeros', 'net.onnx']))
    expect(complete('compile', 'net.onnx', '--masks', '=', 'n')).toEqual(['net.onnx'])
    expect(complete('prune', 'net.onnx', '-o', 'd')).toEqual(['data'])
    expect(complete('train', '--model', 'n')).toEqual(['net.onnx'])
    expect(complete('train', '--model', 'resnet18-')).toEqual(['resnet18-imagenet'])
  })

  it('completes data in two steps: the kind, then the folder', () => {
    expect(complete('train', '--data', 'mn')).toEqual(['mnist:'])
    expect(complete('train', '--data', 'mnist', ':')).toEqual(expect.arrayContaining(['data', 'net.onnx']))
    expect(complete('train', '--data', 'mnist', ':', 'da')).toEqual(['data'])
    // The next word.
    expect(complete('train', '--data', 'mnist', ':', 'data', '--den')).toEqual(['--density', '--dense'])
  })
})

describe.skipIf(missing('zsh'))('in zsh', () => {
  /** What the function hands to zsh's own: words with what they are, and `files`, with how much of the word is before them. */
  const complete: Complete = (...words) =>
    shell(
      'zsh',
      '-f',
      '-c',
      `compdef() { [[ "$*" == '_chasec chasec' ]] }
       _describe() { print -rl -- "\${(@P)2}" }
       compset() { before=$2 }
       _files() { print -r -- "files behind $before" }
       source <(chasec completion zsh)
       words=(chasec "$@"); CURRENT=\${#words}
       _chasec`,
      'zsh',
      ...words,
    )

  it('completes commands, options, words and files', () => {
    expect(complete('co')).toContain('compare:put training runs beside each other')
    expect(complete('prune', 'net.onnx', '--s').some((line) => line.startsWith('--score:'))).toBe(true)
    expect(complete('compile', 'two\\ words.onnx', '--target', '')).toEqual(['cpu:', 'cuda:', 'webgpu:'])
    expect(complete('compile', 'net.onnx', '--masks', '')).toEqual(['zeros:', 'files behind 0'])
    expect(complete('compile', 'n')).toEqual(['files behind 0'])
    expect(complete('train', '--data', 'mn')).toContain('mnist\\:')
    expect(complete('train', '--data', 'mnist:da')).toEqual(['files behind 6'])
    expect(complete('train', '--epochs', '')).toEqual([])
  })
})

describe.skipIf(missing('fish'))('in fish', () => {
  const complete: Complete = (...words) =>
    shell(
      'fish',
      '--no-config',
      '-c',
      'chasec completion fish | source; complete --do-complete $argv[1]',
      ['chasec', ...words].join(' '),
    ).map((line) => line.split('\t')[0] ?? '')

  it('completes commands, options, words and files', () => {
    expect(complete('co')).toEqual(expect.arrayContaining(['compare', 'compile', 'completion']))
    expect(complete('prune', 'net.onnx', '--sc')).toEqual(expect.arrayContaining(['--scope', '--score']))
    expect([...complete('compile', 'two\\ words.onnx', '--target', '')].sort()).toEqual(['cpu', 'cuda', 'webgpu'])
    expect(complete('compile', 'net.onnx', '--masks', '')).toEqual(expect.arrayContaining(['zeros', 'net.onnx']))
    expect(complete('compile', 'n')).toEqual(['net.onnx'])
    expect(complete('train', '--data', 'mni')).toEqual(['mnist:'])
    expect(complete('train', '--data', 'mnist:da')).toEqual(['mnist:data/'])
    expect(complete('train', '--epochs', '')).toEqual([])
  })
})

describe('what is offered', () => {
  const run = (...args: ReadonlyArray<string>) => chasec(args, { cwd: folder })

  it.each(['compile', 'prune', 'train'])('is every option that %s --help lists', (name) => {
    const listed = run(name, '--help').stdout.match(/^ {2}(?:-\w, )?--[\w-]+/gm) ?? []
    const offered = run('complete', name, '-').stdout.trimEnd().split('\n').slice(1)
    expect(offered.map((line) => line.split('\t')[0])).toEqual(listed.map((text) => /--.*/.exec(text)?.[0]))
  })

  it('is every command, but not what shells ask with', () => {
    const { stdout } = run('--help')
    expect(stdout).toMatch(/^ {2}completion /m)
    expect(stdout).not.toMatch(/^ {2}complete /m)
    expect(run('completion', 'csh').stderr).toMatch('<shell>: expected one of bash, zsh, fish, found csh')
  })
})
