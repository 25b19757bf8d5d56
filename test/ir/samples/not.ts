import { input, sample } from '../helpers.ts'

export default [sample('bool', [input([2, 3], { dtype: 'bool' })], { opset: 7 })]
