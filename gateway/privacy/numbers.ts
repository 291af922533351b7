// Numbers that identify people or their money: cards, bank accounts, national ids, telephones, addresses of machines.
//
// A text is searched for digits; only the words around them, as far as all of them have digits, are looked at closer. A
// number counts where its form and its check digits do: what has a form alone needs a word before it that says what it is.
//
// Knows: which kinds there are. Does not know: their rules.

import { clustersOf } from './clusters.ts'
import { findMachines } from './machines.ts'
import { findNationalIds } from './national-ids.ts'
import { findBankAccounts, findCards } from './payment.ts'
import { findPhones, MAX_QUESTIONS } from './phones.ts'
import type { Finding } from './finding.ts'

/** Fewer identify nobody. (An address of a machine has fewer: `10.0.0.1`.) */
const MIN_DIGITS = 6

export function findNumbers(text: string, found: Finding[]): void {
  const questions = { left: MAX_QUESTIONS }
  for (const cluster of clustersOf(text)) {
    findMachines(cluster, found)
    if (cluster.digits < MIN_DIGITS) continue
    findBankAccounts(cluster, found)
    findCards(cluster, found)
    findNationalIds(cluster, found)
    findPhones(cluster, questions, found)
  }
}
