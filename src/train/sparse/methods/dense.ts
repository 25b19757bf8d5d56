/** No sparsity: what the other methods are compared with. */
import { defineMethod } from './method.ts'
import { staticRandom } from './static.ts'

export const method = defineMethod({
  name: 'dense',
  about: 'Every weight is kept.',
  source: null,
  sentences: {},
  read: () => ({}),
  policy: () => ({ ...staticRandom({ density: 1, distribution: { kind: 'dense' } }), name: 'dense' }),
})
