"""The cleaner english on newspapers, mails, recipes, sports and science: readings beyond doubt, and time."""

import time

import pytest

from src.config import load_config
from src.text import split_sentences, spoken_text

ENGLISH = load_config(overrides={"text.cleaner": "english"})


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ('A 3/8" bolt and 1 1/2" nails.', "a three eighths inch bolt and one and a half inch nails."),
        ('He said "it is 5" and left.', 'he said "it is five" and left.'),
        ("From $1.2bn to $900m.", "from one point two billion to nine hundred million dollars."),
        ("From $1m-$2m.", "from one to two million dollars."),
        ("Ten £50 notes.", "ten fifty pound notes."),
        ("Call +49 30 901820.", "call plus four nine, three zero, nine zero one eight two zero."),
        ("Call +91 98765 43210.", "call plus nine one, nine eight seven six five, four three two one zero."),
        ("Call 07700 900123.", "call zero seven seven zero zero, nine zero zero one two three."),
        ("From v1.9 to v2.0.1.", "from version one point nine to version two point zero point one."),
        ("#100DaysOfCode is #1.", "hashtag one hundred days of code is number one."),
        ("He ran it in 9.58s.", "he ran it in nine point five eight seconds."),
        ("On 5th St. NW.", "on fifth street N W."),
        ("Two PhDs.", "two P H D's."),
        ("She has an M.B.A. and a Ph.D. in law.", "she has an M B A and a P H D in law."),
        ("Until noon on Sat. or so.", "until noon on saturday or so."),
        ("At 180°C/350°F.", "at one hundred eighty degrees celsius three hundred fifty degrees fahrenheit."),
        ("It was 5%. 10 men came.", "it was five percent. ten men came."),
        ("He ran 5 km. 10 men saw it.", "he ran five kilometers. ten men saw it."),
        ("He is 5 ft. 10 in. tall.", "he is five feet ten inches tall."),
        ("It has 5 lbs., 10 oz., or so.", "it has five pounds, ten ounces, or so."),
        ("Open lib/notes.txt.", "open lib slash notes dot T X T."),
        ("If a && b == c.", "if a and b equals c."),
        ("5 μL and 3 mmol.", "five microliters and three millimoles."),
        (
            "6.02×10²³ and 5 x 10^3.",
            "six point zero two times ten to the power of twenty-three and five times ten cubed.",
        ),
        ("Seat 4B, $4B.", "seat four B, four billion dollars."),
        ("1 000 000 men and 10 000 m.", "one million men and ten thousand meters."),
        ("CHAPTER XII. THE END", "chapter twelve. the end"),
        ("THE PART I LIKE IS HERE.", "the part i like is here."),
        ("Section B.2 holds.", "section B point two holds."),
        ("See Ref. [12].", "see reference [twelve]."),
        ("Bob <bob@example.com> wrote.", "bob bob at example dot com wrote."),
        ("A 5' x 7' room.", "a five feet by seven feet room."),
        ("At 9.8 m/s^2.", "at nine point eight meters per second squared."),
        ("A 1,500 sq. ft. house.", "a one thousand five hundred square foot house."),
        ("Mar 3rd, 2nd Feb and Oct '19.", "march third, the second of february and october nineteen."),
        ("The A/C is N/A here.", "the A C is N A here."),
        ("He knows C# and F#.", "he knows C sharp and F sharp."),
        ("A lap of 1m 23.4s.", "a lap of one minute twenty-three point four seconds."),
        ("It has χ² = 3.8 and χ here.", "it has chi squared equals three point eight and chi here."),
        ("A 1.5T magnet.", "a one point five T magnet."),
        ("Smile ^_^ now.", "smile now."),
        ("Buy $AAPL for $5.", "buy A A P L for five dollars."),
        ("Invoice 2024-001.", "invoice twenty twenty-four zero zero one."),
        ("At 08:00h and 14:30 h.", "at eight o'clock and fourteen thirty."),
        ("Pay 3 x $20.", "pay three times twenty dollars."),
        ("Op. 27 No. 2.", "opus twenty-seven number two."),
        ("Genesis 1:1-3 and Psalm 23:4.", "genesis one one to three and psalm twenty-three four."),
        ("The 5th-8th row.", "the fifth to eighth row."),
        ("It was No. 221B.", "it was number two hundred twenty-one B."),
        ('<b>Bold</b> &amp; <a href="x">thin</a>; a <b.', "bold and thin; a is less than b."),
        ("EUR/USD 1.08 and 5 Kč.", "E U R U S D one point zero eight and five korunas."),
        ("It cost $5 mil. in all.", "it cost five million dollars in all."),
        ("Add 2 Tbsp sugar.", "add two tablespoons sugar."),
        ("CHF 10'500 it is.", "ten thousand five hundred swiss francs it is."),
        ("An A+ and an A-.", "an A plus and an A-."),
        ("We met at 11pm. Joe left at 5 p.m. It's late.", "we met at eleven P M. joe left at five P M. it's late."),
        ("Volumes I-III.", "volumes one to three."),
    ],
)
def test_reading(text, spoken):
    assert spoken_text(text, ENGLISH) == spoken


@pytest.mark.parametrize(
    "text",
    [
        "He is on Thurs. 5 May here.",
        "See Ref. [12] and Refs. 3 to 5.",
        "It has 9 sq. ft. of room.",
        "See vols. II and IV.",
    ],
)
def test_one_sentence(text):
    assert split_sentences(text, ENGLISH) == [text]


def test_a_shortened_word_begins_a_sentence():
    assert split_sentences("He left at 5 p.m. It's late.", ENGLISH) == ["He left at 5 p.m.", "It's late."]


@pytest.mark.parametrize(
    "repeated",
    ["0", "a", "A", "Ab", "a1", "1-", "a.", "1.", '1" ', "Henry I ", "1 1st ", "a@", "a.com/", "Mon-", " ", ". ", "1,"],
)
def test_time_grows_little_faster_than_the_text(repeated):
    """Patterns that try every start and every length of a row take a minute for some of these."""
    text = repeated * (10000 // len(repeated))
    start = time.process_time()
    spoken_text(text, ENGLISH)
    split_sentences(text, ENGLISH)
    assert time.process_time() - start < 3
