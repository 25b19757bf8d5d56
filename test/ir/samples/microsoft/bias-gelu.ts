import { constant, input, sample } from '../../helpers.ts'

export default [sample('one for each column', [input([2, 4, 3]), constant([3])])]
