"""Other ways to ask the same question: wording, case, punctuation and spelling.

In: a phrasing and a random generator. Out: another phrasing with the same answer. The model learns
from nothing: that "delete" and "remove" mean the same has to be shown to it, and these tables do.

Knows: English questions. Does not know: answers, tokens.
"""

import re


def either(alternatives):
    """Alternatives are written with bars between them; spaces belong to them."""
    return alternatives.split('|')


# Openings that ask for the same thing; each set is interchangeable in front of what follows it.
OPENINGS = [
    either(
        'how do i|how can i|how to|how do you|how would i|how should i|how do we|how can you|'
        "how could i|how does one|what is the way to|what's the best way to|"
        'what is the command to|what do i do to|what must i do to|tell me how to|show me how to|'
        "explain how to|i want to|i need to|i'd like to|i would like to|i am trying to|"
        'can you tell me how to|help me|please help me|can you show me how to|steps to|'
        'what are the steps to|is there a way to|way to|can i'
    ),
    either(
        "what is|what's|what are|explain|describe|define|tell me about|can you explain|"
        'what is meant by|what do you mean by|please explain|could you explain|'
        'give me a description of|whats|i want to know about|what do you know about|info on|'
        'information about'
    ),
    either(
        'does headrace|can headrace|will headrace|does it|can it|could headrace|'
        'is headrace able to|is it possible for headrace to|does the gateway|can the gateway'
    ),
    either(
        'can i|could i|may i|am i able to|is it possible to|is it ok to|can we|can you|'
        'am i allowed to'
    ),
    either(
        "where is|where are|where's|where do i find|where can i find|where can i see|"
        'where does headrace keep|where should i look for|in which place is|how do i find'
    ),
    either(
        'what happens when|what happens if|what does headrace do when|what will happen if|what if|'
        'what does it do when|what is going to happen when|what happens once'
    ),
    either(
        'which|what|which of the|what kind of|tell me which|list the|what are the|can you list the'
    ),
    either("why does|why would|what is the reason that|what's the reason|how come|why"),
    either("how many|what number of|what's the number of"),
    either('when does|at what point does|in which case does|when will'),
    either('who|which person|tell me who'),
]

SYNONYMS = [
    either('delete|remove|erase'),
    either('start|launch|run|boot|begin'),
    either('stop|end|shut down|terminate|quit'),
    either('make|create|generate|add|get a new'),
    either('change|set|configure|modify|adjust|choose'),
    either('show|display|print|see|view|look at|list'),
    either('error|failure|error message'),
    either('answer|reply|response|output'),
    either('call|request|query'),
    either('folder|directory|dir'),
    either('setting|option|variable|parameter'),
    either('settings|options|variables|environment variables|configuration'),
    either('licence|license'),
    either('postgresql|postgres|the database|postgre'),
    either('database|db|data base'),
    either('quick|fast'),
    either('machine|computer|server|host|box'),
    either('program|software|tool|system|product'),
    either('use|work with|take'),
    either('big|large'),
    either('import|load|bring in|add'),
    either('previous|earlier|last|older|former'),
    either('bad|broken|faulty|wrong'),
    either('user|person|customer|client'),
    either('stored|kept|saved|written'),
    either('supported|possible|available|allowed'),
    either('meaning|purpose|point'),
    either('default|standard|initial'),
    either('disconnects|hangs up|goes away|leaves|closes the connection'),
    either('crashes|dies|fails|is killed'),
    either('tests|test suite|unit tests'),
    either('need|require|must have'),
    either('happens|occurs|takes place'),
    either('limit|maximum|max'),
    either('several|multiple|many|more than one'),
    either('headrace|this|it|the gateway'),
]

FILLERS = set('a an the of in my i do does is are for on with me please to you by can'.split())

# What somebody types who is used to search engines: these words go as well.
QUESTION_WORDS = FILLERS | set(
    'what how which where why who when tell it this there should has have get'.split()
)

BEFORE = either(
    'hi, |hello, |hey, |hello! |hi! |please |please tell me: |quick question: |ok, |okay, |so |'
    'one question: |question: |sorry, |excuse me, |good morning, |i have a question. |and |now, |'
    "well, |hi there, |can you tell me |could you tell me |do you know |i wonder |i'm new here. |"
    'tell me, |help! |thanks. |another question: |in headrace, |with headrace, '
)
AFTER = either(
    ' please|, please| thanks| thank you| in headrace| with headrace| here| exactly| then| now|'
    ' again| for me| with this| in this project| briefly| in one sentence| in detail|'
    ' on my machine'
)
ENDINGS = either('?|?|?||||.|??| ?|!|?!|...')

NEIGHBOURS = {
    row[at]: [row[near] for near in (at - 1, at + 1) if 0 <= near < len(row)]
    for row in ('qwertyuiop', 'asdfghjkl', 'zxcvbnm')
    for at in range(len(row))
}

# Commands are names, not words.
COMMANDS = re.compile(
    r'make (serve|test|check|bench)|keys (create|list|revoke)|models import|headrace serve',
    re.IGNORECASE,
)


def _openings_by_length():
    known = [(opening, family) for family in OPENINGS for opening in family]
    return sorted(known, key=lambda pair: -len(pair[0]))


_BY_LENGTH = _openings_by_length()
_SYNONYMS_OF = {}
for _family in SYNONYMS:
    for _word in _family:
        _SYNONYMS_OF.setdefault(_word, []).extend(other for other in _family if other != _word)
_SYNONYM = re.compile(
    r'\b(' + '|'.join(sorted(map(re.escape, _SYNONYMS_OF), key=len, reverse=True)) + r')\b',
    re.IGNORECASE,
)


def vary(question, random):
    """Another phrasing of `question`; with some luck the same one."""
    text = question
    if random.random() < 0.45:
        text = change_opening(text, random)
    if random.random() < 0.4:
        text = change_words(text, random)
    if random.random() < 0.35:
        text = drop_fillers(text, random)
    if random.random() < 0.1:
        text = drop_word(text, random)
    if random.random() < 0.1:
        text = keep_keywords(text)
    if random.random() < 0.3:
        text = add_around(text, random)
    if random.random() < 0.35:
        text = text.rstrip('?!. ') + random.choice(ENDINGS)
    text = change_case(text, random)
    if random.random() < 0.25:
        text = mistype(text, random)
    return text


def change_opening(text, random):
    lower = text.lower()
    for opening, family in _BY_LENGTH:
        if lower.startswith(opening + ' '):
            return capitalise(random.choice(family) + text[len(opening) :])
    return text


def change_words(text, random):
    commands = [found.span() for found in COMMANDS.finditer(text)]

    def replace(match):
        if any(start <= match.start() < end for start, end in commands):
            return match.group()
        # So are variables and paths: what touches such a sign is left alone.
        before, after = text[: match.start()][-1:], text[match.end() :][:1]
        if before in list('/_-.`@') or after in list('/_-`@:=') or random.random() < 0.5:
            return match.group()
        return random.choice(_SYNONYMS_OF[match.group().lower()])

    return _SYNONYM.sub(replace, text)


def drop_fillers(text, random):
    words = text.split(' ')
    kept = [word for word in words if word.lower() not in FILLERS or random.random() < 0.5]
    return ' '.join(kept) if len(kept) >= 2 else text


def drop_word(text, random):
    words = text.split(' ')
    if len(words) >= 5:
        del words[random.randrange(len(words))]
    return ' '.join(words)


def keep_keywords(text):
    kept = [word for word in text.rstrip('?!. ').split(' ') if word.lower() not in QUESTION_WORDS]
    return ' '.join(kept) if len(kept) >= 2 else text


def add_around(text, random):
    if random.random() < 0.6:
        text = capitalise(random.choice(BEFORE)) + text[0].lower() + text[1:]
    if random.random() < 0.5:
        ending = text[len(text.rstrip('?!. ')) :]
        text = text.rstrip('?!. ') + random.choice(AFTER) + ending
    return text


def change_case(text, random):
    chance = random.random()
    if chance < 0.35:
        return text.lower()
    if chance < 0.38:
        return text.upper()
    if chance < 0.48:
        return capitalise(text)
    return text


def mistype(text, random):
    words = text.split(' ')
    wordlike = [at for at, word in enumerate(words) if re.fullmatch(r"[A-Za-z']{4,}[?!.,]?", word)]
    for at in random.sample(wordlike, min(len(wordlike), random.choice([1, 1, 2]))):
        word = words[at]
        place = random.randrange(1, len(word.rstrip('?!.,')))
        kind = random.randrange(4)
        letter = word[place]
        if kind == 0:
            word = word[:place] + word[place + 1 :]
        elif kind == 1:
            word = word[:place] + letter + word[place:]
        elif kind == 2:
            word = word[: place - 1] + letter + word[place - 1] + word[place + 1 :]
        else:
            near = NEIGHBOURS.get(letter.lower(), [letter])
            word = word[:place] + random.choice(near) + word[place + 1 :]
        words[at] = word
    return ' '.join(words)


def capitalise(text):
    return text[:1].upper() + text[1:]
