/** Runs beside each other: how far each is, what it came to, in what they differ. */
import { describe, expect, it } from 'vitest'
import {
  type ComparedRun,
  describeExtensions,
  describeRuns,
  differencesOf,
  type FinalFigures,
  namesOf,
  runColumns,
  stateOf,
} from '../../src/report/comparison.ts'
import { renderComparison } from '../../src/report/comparison-page.tsx'
import { renderRuns } from '../../src/report/terminal/comparison-table.ts'
import { plainStyle } from '../../src/report/terminal/style.ts'
import { training } from './fixtures.ts'

const figures: FinalFigures = {
  ...{ accuracy: 0.9, parameters: 1000, macs: 4e9, testImages: 10_000, where: 'here' },
  throughput: { q1: 90, median: 100, q3: 110 },
  speedup: { q1: 1.4, median: 1.5, q3: 1.6 },
}

const ended: ComparedRun = {
  name: 'a<b>',
  settings: { model: 'net', data: 'mnist:x' },
  recipe: training.recipe,
  history: training.history,
  figures,
}

const until = (step: number): ComparedRun => {
  const { figures: _figures, ...rest } = ended
  return {
    ...rest,
    name: `until ${step}`,
    history: ended.history.filter((entry) => entry.step <= step && entry.kind !== 'test'),
  }
}

const row = (run: ComparedRun): Readonly<Record<string, string>> =>
  Object.fromEntries(
    runColumns.map(({ title, cell }) => {
      const { text, detail } = cell(run)
      return [title, detail === undefined ? text : `${text} (${detail})`]
    }),
  )

describe('names of runs', () => {
  it('are as much of the ends of their folders as tells them apart', () => {
    expect(namesOf(['/runs/a', '/runs/b/', './c'])).toEqual(['a', 'b', 'c'])
    expect(namesOf(['x/seed/1', 'y/seed/1', 'y/seed/2'])).toEqual(['x/seed/1', 'y/seed/1', '2'])
    expect(namesOf(['run', 'run/dense'])).toEqual(['run', 'dense'])
    expect(namesOf(['a', 'b/a'])).toEqual(['a', 'b/a'])
    expect(namesOf(['.', '/'])).toEqual(['.', '/'])
  })
})

describe('a run', () => {
  it('is where its history says', () => {
    expect(stateOf(ended)).toBe('ended, 4 epochs')
    expect(stateOf(until(0))).toBe('not begun')
    expect(stateOf({ ...until(0), history: [] })).toBe('not begun')
    expect(stateOf(until(5))).toBe('at epoch 0.5 of 4')
    expect(stateOf(until(20))).toBe('at epoch 2 of 4')
    expect(stateOf({ ...until(40), history: ended.history })).toBe('trained, not compiled')
    // It had ended after three epochs, and was made longer.
    expect(stateOf({ ...until(0), history: ended.history.filter(({ step }) => step <= 30) })).toBe('at epoch 3 of 4')
  })

  it('has a row of what it came to, with spreads, and of what is known before the end', () => {
    expect(row(ended)).toEqual({
      ...{ run: 'a<b>', state: 'ended, 4 epochs', method: 'gmp', test: '90.00 %', density: '25 %' },
      ...{ 'best validation': '80.00 % (epoch 2)', parameters: '1.00 k', MACs: '4.00 G' },
      ...{ 'images/s': '100 (90 to 110)', 'vs. dense': '1.50x (1.40x to 1.60x)' },
    })
    expect(row(until(10))).toMatchObject({
      test: '–',
      'best validation': '60.00 % (epoch 1)',
      density: '70 %',
      MACs: '–',
    })
    expect(row({ ...until(40), history: ended.history })).toMatchObject({ test: '72.00 %', MACs: '–' })
    // Of a run that was made longer the score of its first end is not the one it will have.
    const shorter = ended.history.filter(({ step, kind }) => step < 30 || (step === 30 && kind !== 'plan'))
    expect(row({ ...until(0), history: shorter })).toMatchObject({ test: '–' })
  })
})

describe('runs', () => {
  const better: ComparedRun = {
    ...ended,
    name: 'better',
    recipe: {
      ...training.recipe,
      batch: 64,
      augmentation: null,
      learningRate: { schedule: 'constant', peak: 0.1, warmup: 0 },
    },
    figures: { ...figures, accuracy: 0.905 },
  }

  it('are summed up, with how much of a difference may be chance', () => {
    expect(describeRuns([until(0)])).toEqual(['The run has not ended.'])
    expect(describeRuns([until(0), until(10)])).toEqual(['None of the runs has ended.'])
    expect(describeRuns([ended])).toEqual(['The run has ended. Highest test accuracy: a<b>, 90.00 %.'])
    expect(describeRuns([ended, until(10)])).toEqual(['1 of 2 runs has ended. Highest test accuracy: a<b>, 90.00 %.'])
    expect(describeRuns([ended, better])).toEqual([
      'Both runs have ended. Highest test accuracy: better, 90.50 %.',
      // 2 · √(2 · 0.905 · 0.095 / 10,000)
      'With 10,000 test images, accuracies less than 0.83 percentage points apart may differ by chance; other seeds move them too.',
    ])
    expect(describeExtensions([until(10), ended])).toEqual(['a<b> was made longer after epoch 3, to 4 epochs.'])
  })

  it('differ in what is told entry by entry, and in nothing else', () => {
    expect(differencesOf([ended, better])).toEqual([
      { entry: 'batch', values: ['128', '64'] },
      { entry: 'learningRate.schedule', values: ['step', 'constant'] },
      { entry: 'learningRate.at', values: ['[0.5]', '–'] },
      { entry: 'learningRate.factor', values: ['0.1', '–'] },
      { entry: 'augmentation.crop', values: ['padded', '–'] },
      { entry: 'augmentation.padding', values: ['4', '–'] },
      { entry: 'augmentation.flip', values: ['yes', '–'] },
      { entry: 'augmentation', values: ['–', 'none'] },
    ])
    expect(differencesOf([ended, until(10)])).toEqual([])
    expect(differencesOf([ended, { ...ended, settings: { ...ended.settings, data: 'mnist:y' } }])).toEqual([
      { entry: 'data', values: ['mnist:x', 'mnist:y'] },
    ])
  })

  it('have a page with their curves over one another, names escaped', () => {
    const page = renderComparison([ended, until(10), until(0)])
    expect(page).toMatch('<title>3 runs compared · chasec</title>')
    expect(page).toMatch('aria-label="Validation accuracy over epochs. In the end: a&lt;b> 75 %, until 10 60 %."')
    expect(page).toMatch('<code>a&lt;b></code>')
    expect(page.includes('<b>a')).toBe(false)
    expect(page).toMatch('<span class="soft detail"> 90 to 110</span>')
    expect(page).toMatch('Their settings are the same.')
    expect(page.includes('NaN')).toBe(false)
    expect(renderComparison([ended, better])).toMatch('<code>learningRate.<wbr/>schedule</code>')
    expect(page).toBe(renderComparison([ended, until(10), until(0)]))
  })

  it('have a page when none has begun, and when there are more than there are colours', () => {
    expect(renderComparison([until(0)])).toMatch('The run has not ended.')
    const many = Array.from({ length: 10 }, (_, i) => ({ ...ended, name: `run ${i}` }))
    expect(renderComparison(many)).toMatch('run 9 <span class="value">75 %</span>')
  })

  it('have a table on a terminal', () => {
    const text = renderRuns([ended, better], plainStyle).replaceAll(/ +/g, ' ')
    expect(text).toMatch(
      'a<b> ended, 4 epochs gmp 90.00 % 80.00 % (epoch 2) 25 % 1.00 k 4.00 G 100 (90 to 110) 1.50x (1.40x to 1.60x)',
    )
    expect(text).toMatch('learningRate.schedule step constant')
    expect(text).toMatch('Highest test accuracy: better')
  })
})
