/** What reports say of a training: the best epoch, curves, layers against the dense network, speeds with their noise. */
import { describe, expect, it } from 'vitest'
import { curvesOf } from '../../src/report/curves.ts'
import { renderPage } from '../../src/report/report-page.tsx'
import type { Results } from '../../src/report/results.ts'
import { plainStyle } from '../../src/report/terminal/style.ts'
import { againstDense, type SoupReport, validationOf, versus } from '../../src/report/training.ts'
import { renderTraining } from '../../src/report/terminal/training-table.ts'
import { describeSoup, describeSpeeds, describeValidation } from '../../src/report/training-words.ts'
import { formatNumber } from '../../src/report/units.ts'
import { recordVerification } from '../../src/report/verification-record.ts'
import type { History } from '../../src/train/index.ts'
import { difference, report, training } from './fixtures.ts'

const results: Results = { version: '1.2.3', report, verification: recordVerification(difference), training }

describe('validation', () => {
  it('names the best epoch, the first of equals, and whose weights are exported', () => {
    expect(training.validation).toEqual({
      best: { epoch: 2, accuracy: 0.8, density: 0.5 },
      last: { epoch: 4, accuracy: 0.75, density: 0.25 },
    })
    expect(describeValidation(training)).toBe(
      'Best validation accuracy: 80.00 % (epoch 2 of 4, density 50 %). The exported weights are those after the last step: 75.00 % (epoch 4 of 4, density 25 %).',
    )
    const epochs = training.history.filter(({ step }) => step <= 20)
    expect(describeValidation({ ...training, validation: validationOf(epochs) })).toBe(
      'Best validation accuracy: 80.00 % after the last epoch (epoch 2 of 4, density 50 %). The exported weights are those after the last step.',
    )
    expect(validationOf([])).toBeNull()
  })
})

describe('curves', () => {
  const curves = curvesOf(training.history, training.recipe.learningRate)

  it('are over epochs, with the rate of every part of a run that was made longer', () => {
    expect(curves.epochs).toBe(4)
    expect(curves.validationAccuracy).toEqual([
      [1, 0.6],
      [2, 0.8],
      [3, 0.8],
      [4, 0.75],
    ])
    expect(curves.extensions).toEqual([{ epoch: 3, epochs: 4 }])
    // Constant at 0.1, times 0.1 from half of the training on: of three epochs, then of four.
    const rateAt = (epoch: number): number | undefined => curves.learningRate.find(([at]) => at === epoch)?.[1]
    expect([rateAt(1.5), rateAt(1.6)]).toEqual([0.1, expect.closeTo(0.01, 12)])
    expect(rateAt(3.1)).toBeCloseTo(0.01, 12)
    expect(curves.learningRate).toHaveLength(40)
    expect(curves.density.slice(0, 3)).toEqual([
      [0, 1],
      [0.5, 0.7],
      [1, 0.7],
    ])
  })

  it('of layers are shares of the dense ones', () => {
    expect(curves.layers.times).toEqual([0, 1, 2, 3, 3, 4])
    expect(curves.layers.layers[0]).toEqual({
      name: 'stem.weight',
      channels: 8,
      densities: [1, 0.7, 0.5, 0.25, 0.25, 0.25],
      channelsLeft: [1, 1, 0.75, 0.75, 0.75, 0.75],
    })
  })

  it('of a run that has not begun are empty', () => {
    const empty: History = []
    expect(curvesOf(empty, training.recipe.learningRate)).toMatchObject({ epochs: 0, loss: [], learningRate: [] })
  })
})

describe('layers', () => {
  it('are held against the dense network', () => {
    const predicted = { before: 2, after: 1, about: 'Measured elsewhere' }
    const against = againstDense({ ...report, predicted }, training)
    expect(against).not.toHaveProperty('predicted')
    const { before, layers, idleMasks } = against
    expect(before).toBe(training.dense)
    expect(layers[0]).toMatchObject({
      inputs: { before: 3, after: 3 },
      outputs: { before: 16, after: 4 },
      macs: { before: 6_000_000_000, after: 1_500_000_000 },
    })
    expect(layers[1]).toBe(report.layers[1])
    expect(idleMasks).toEqual([])
    const page = renderPage(results)
    expect(page).toMatch('16 → 4')
    expect(page).toMatch('multiply-accumulates of the dense network')
    expect(page).not.toMatch('it masks &lt;nothing')
  })
})

describe('speeds', () => {
  const speeds = training.networks.map(({ speed }) => speed)
  const [dense, masked, compiled] = speeds
  if (dense === undefined || masked === undefined || compiled === undefined) throw new Error('three speeds')

  it('are compared round by round', () => {
    expect(versus(compiled, masked).speedup).toEqual({ q1: 1, median: 1, q3: 1.125 })
    expect(versus(compiled, dense).speedup.median).toBe(2)
  })

  it('come with their spread, and what is inside the noise is called so', () => {
    expect(describeSpeeds(training)).toEqual([
      'The compiled network runs 2.00x as fast as the dense one (quartiles 2.00x to 2.50x).',
      'The compiled network runs neither faster nor slower than the masked one beyond the noise: 1.00x (quartiles 1.00x to 1.13x).',
    ])
    const text = renderTraining(training, plainStyle).replaceAll(/ +/g, ' ')
    expect(text).toMatch('compiled 20.0 ms 18.0 ms – 22.0 ms 100/s')
    expect(text).toMatch('beyond the noise')
    const page = renderPage(results)
    expect(page).toMatch('beyond the noise')
    expect(page).toMatch('masked: median 25.0 ms')
    expect(page).toMatch('50/s → 100/s')
    const busy = training.networks.map((network) => ({
      ...network,
      speed: { ...network.speed, speedup: { q1: 0.9, median: 1.3, q3: 1.4 } },
    }))
    expect(renderPage({ ...results, training: { ...training, networks: busy } })).toMatch('within the noise')
  })
})

describe('the page of a training', () => {
  const page = renderPage(results)

  it('begins with the accuracy, beside that of the dense network', () => {
    expect(page).toMatch(
      'It puts 72.00\u00a0% of 100 test images into the right class; the dense network 72.00\u00a0%.',
    )
  })

  it('has a chart for each thing that changes, with names, axes and what it ends at', () => {
    for (const title of ['Accuracy', 'Loss', 'Learning rate', 'Density', 'Channels'])
      expect(page).toMatch(`<b>${title}</b>`)
    expect(page).toMatch('aria-label="Accuracy over epochs. In the end: training 90 %, validation 75 %."')
    expect(page).toMatch('Dotted lines: best validation accuracy, epoch 2; made longer, to 4 epochs.')
    expect(page).toMatch('aria-label="stem.weight: 100 % at first, 25 % in the end"')
    expect(page).toMatch('<span>8 → 6</span>')
    expect(page.includes('NaN')).toBe(false)
  })

  it('leaves out what stays as it is', () => {
    const history = training.history.map((entry) =>
      entry.kind === 'test' ? entry : { ...entry, density: 1, channels: 8, layerDensities: [1], layerChannels: [8] },
    )
    const still = renderPage({ ...results, training: { ...training, history } })
    expect(still).toMatch('<b>Loss</b>')
    for (const title of ['Density', 'Channels', 'Weights kept of each layer']) expect(still).not.toMatch(`<b>${title}`)
  })

  it('bears a loss that is no number', () => {
    const history = training.history.map((entry) => (entry.kind === 'epoch' ? { ...entry, loss: NaN } : entry))
    expect(renderPage({ ...results, training: { ...training, history } }).includes('NaN')).toBe(false)
  })
})

describe('a number of no unit', () => {
  it.each([
    [0, '0'],
    [0.19561, '0.1956'],
    [0.0000102, '1.02e-5'],
    [0.0001, '1e-4'],
    [-0.00025, '-2.5e-4'],
    [12, '12'],
  ])('%d is %s', (value, text) => expect(formatNumber(value)).toBe(text))
})

describe('a soup', () => {
  const score = (accuracy: number) => ({ loss: 1, accuracy })
  const soup: SoupReport = {
    choice: 'greedy',
    ingredients: [
      { name: 'run-2', validation: score(0.8), used: true, test: 0.79 },
      { name: 'run-<1>', validation: score(0.7), soup: score(0.75), used: false },
      { name: 'run-3', validation: score(0.6), soup: score(0.82), used: true, test: 0.61 },
    ],
    validation: score(0.82),
    statisticsImages: 45_000,
  }

  it('is told in words, with what each of its networks scored', () => {
    expect(describeSoup(soup)).toBe(
      'The weights are the mean of 2 of 3 runs. Runs were chosen by validation accuracy, tried in the order below. The statistics of BatchNormalization were estimated anew on 45,000 training images. Validation accuracy: 82.00 %.',
    )
    const [first, second] = soup.ingredients
    if (first === undefined || second === undefined) throw new Error('no ingredients')
    const alone = { ...soup, ingredients: [first, second], statisticsImages: 0 }
    expect(describeSoup(alone)).toMatch('The network is that of run-2 alone')
    const text = renderTraining({ ...training, history: [], validation: null, soup }, plainStyle)
    expect(text).toMatch(/^run-2 +80.00 % +79.00 % +– +yes$/m)
    expect(text).toMatch(/^run-<1> +70.00 % +– +75.00 % +no$/m)
  })

  it('has its table in the report, in the place of curves', () => {
    const page = renderPage({ ...results, training: { ...training, history: [], validation: null, soup } })
    expect(page).toMatch('What the soup is made of')
    expect(page).toMatch('run-&lt;1>')
    expect(page).not.toMatch('How training went')
  })
})
