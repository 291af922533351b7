// Prompts and answers of a given length that look like language: words of a vocabulary, the common ones more often.

const VOCABULARY = 20_000
const SYLLABLES =
  'ba be bi bo da de di do ka ke ki ko la le li lo ma me mi mo na ne ni no ra re ri ro sa se si so ta te ti to'.split(
    ' ',
  )
/** Zipf's law: the nth word is as frequent as 1/n. */
const CUMULATED = cumulate(VOCABULARY)

function cumulate(words: number): Float64Array {
  const sums = new Float64Array(words)
  let sum = 0
  for (let i = 0; i < words; i++) sums[i] = sum += 1 / (i + 1)
  return sums.map((value) => value / sum)
}

function wordOf(rank: number): string {
  let word = ''
  for (let rest = rank + SYLLABLES.length; rest > 0; rest = Math.floor(rest / SYLLABLES.length)) {
    word += SYLLABLES[rest % SYLLABLES.length]
  }
  return word
}

const WORDS = Array.from({ length: VOCABULARY }, (_, rank) => wordOf(rank))

/** @param random from 0 to 1, so that texts can be the same again */
export function textOf(characters: number, random: () => number): string {
  let text = ''
  while (text.length < characters) {
    const share = random()
    let [low, high] = [0, VOCABULARY - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if (CUMULATED[middle]! < share) low = middle + 1
      else high = middle
    }
    text += `${WORDS[low]} `
  }
  return text.slice(0, characters)
}

/** mulberry32: small, fast, good enough for texts. */
export function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
