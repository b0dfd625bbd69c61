import { references } from './reference.ts'
import { wireReferences } from './wire-reference.ts'

/** Every reference there is: the file, the name between the markers, the rows and their head. */
export const allReferences = async () => [...(await references()), ...(await wireReferences())]
