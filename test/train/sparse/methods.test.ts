/** What every method of the registry must be; a new one is tested by being there. */
import { readFileSync } from 'node:fs'
import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, it } from 'vitest'
import { describeMethods } from '../../../src/train/recipe/describe-methods.ts'
import { decodeRecipe, methodNames, methods, policyOf } from '../../../src/train/recipe/index.ts'
import { policyProblem } from '../../../src/train/sparse/check-policy.ts'
import { dueSteps } from '../../../src/train/sparse/index.ts'
import { sentences } from '../../../src/train/sparse/methods/entries.ts'

describe.each(describeMethods())('$name', ({ name, about, source, entries }) => {
  const known = methodNames.find((one) => one === name) ?? 'dense'

  it('is one line of text, with its source', () => {
    expect(about).toMatch(/^[A-Z][^\n]+\.$/)
    if (source === null) return
    expect(source.arxiv).toMatch(/^\d{4}\.\d{4,5}$/)
    expect(source.paper).not.toBe('')
    if (source.code !== undefined) expect(source.code).toMatch(/^[\w.-]+\/[\w.-]+$/)
  })

  it('is documented', () => {
    expect(readFileSync('docs/recipe.md', 'utf8')).toContain(`\n### ${name}\n\n${about}`)
  })

  it('says something of all of its entries, of no other, and no sentence twice', () => {
    const keys = entries.map(({ key }) => key)
    for (const [key, sentence] of Object.entries(methods[known].sentences)) {
      expect(keys).toContain(key)
      expect(sentence).not.toBe(sentences[key])
    }
  })

  it.each([
    { steps: 1, stepsPerEpoch: 1 },
    { steps: 7, stepsPerEpoch: 7 },
    { steps: 400, stepsPerEpoch: 10 },
    { steps: 80_000, stepsPerEpoch: 500 },
  ])('has defaults that are a policy over %j', (length) => {
    const decoded = decodeRecipe({ method: { name } })
    if (E.isLeft(decoded)) throw new Error(decoded.left[0].subject)
    const policy = policyOf(decoded.right.method, length)
    expect(policy.name).not.toBe('')
    expect(policyProblem(policy, 1)).toBeUndefined()
    for (const phase of policy.phases) {
      const steps = dueSteps(phase, length.steps)
      if (length.steps >= 80_000) expect(steps.length).toBeGreaterThan(0)
      expect(steps.every((step) => step >= 1 && step <= length.steps)).toBe(true)
    }
  })
})
