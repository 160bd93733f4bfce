//! T: ten good films, each broken in twelve ways. Also the mutants, of which there are as many as somebody has time for.

use super::{
    Menu,
    Verdict::Boring,
    kitchen::{Chance, SEEDS},
};

/// What is done to a film.
const DAMAGE: [&str; 12] = [
    "a quarter",
    "half",
    "nine tenths",
    "8 bits flipped",
    "64 bits flipped",
    "512 bits flipped",
    "a length spoiled",
    "three lengths spoiled",
    "zeroes in the head",
    "zeroes in the middle",
    "head and tail exchanged",
    "blocks exchanged",
];

pub(super) fn cases() -> Menu {
    let mut menu = Menu::default();
    for (number, (seed, _)) in SEEDS.iter().enumerate() {
        for (way, name) in DAMAGE.iter().enumerate() {
            menu.add(format!("T {seed}: {name}"), Boring, move |kitchen| {
                Some(spoil(kitchen.seed(seed)?, way, &mut Chance::new((number * 100 + way) as u64)))
            });
        }
    }
    menu
}

fn spoil(mut film: Vec<u8>, way: usize, chance: &mut Chance) -> Vec<u8> {
    let length = film.len();
    match way {
        0 => film.truncate(length / 4),
        1 => film.truncate(length / 2),
        2 => film.truncate(length / 10 * 9),
        3..=5 => flip(&mut film, 1 << (3 * (way - 2)), chance),
        6 => spoil_lengths(&mut film, 1, chance),
        7 => spoil_lengths(&mut film, 3, chance),
        8 => film[64..256].fill(0),
        9 => film[length / 2..length / 2 + length / 8].fill(0),
        10 => film.rotate_left(length / 2),
        _ => {
            let (a, b) = (chance.below(length / 2 - 600), length / 2 + chance.below(length / 2 - 600));
            for at in 0..512 {
                film.swap(a + at, b + at);
            }
        }
    }
    film
}

fn flip(film: &mut [u8], bits: usize, chance: &mut Chance) {
    for _ in 0..bits {
        let at = chance.below(film.len());
        film[at] ^= 1 << chance.below(8);
    }
}

/// Four bytes in the first or last kilobyte, where indexes are, become a number that lengths should not be.
fn spoil_lengths(film: &mut [u8], count: usize, chance: &mut Chance) {
    for _ in 0..count {
        let far = chance.below(1_000.min(film.len() - 4));
        let at = if chance.below(2) == 0 { far } else { film.len() - 4 - far };
        let value = [0_u32, 1, 7, 0x7fff_ffff, 0xffff_ffff, 0x0100_0000][chance.below(6)];
        film[at..at + 4].copy_from_slice(&value.to_be_bytes());
    }
}

/// One of endlessly many.
pub(crate) fn mutant(film: Vec<u8>, number: u64) -> Vec<u8> {
    let mut chance = Chance::new(number);
    let mut film = film;
    for _ in 0..=chance.below(3) {
        let way = [3, 4, 5, 6, 7, 9, 11, 2][chance.below(8)];
        if film.len() > 4_096 {
            film = spoil(film, way, &mut chance);
        }
    }
    film
}
