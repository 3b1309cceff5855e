//! Values under numbers that stay theirs until they are removed: who is registered with whom.

/// See the file's comment. The numbers of removed values are used again.
pub(super) struct Table<T> {
    places: Vec<Option<T>>,
    free: Vec<usize>,
    len: usize,
}

impl<T> Table<T> {
    pub(super) const fn new() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
            len: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn get_mut(&mut self, place: usize) -> Option<&mut T> {
        self.places.get_mut(place)?.as_mut()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.places.iter_mut().flatten()
    }

    pub(super) fn insert(&mut self, value: T) -> usize {
        self.len += 1;
        match self.free.pop() {
            Some(place) => {
                self.places[place] = Some(value);
                place
            }
            None => {
                self.places.push(Some(value));
                self.places.len() - 1
            }
        }
    }

    pub(super) fn remove(&mut self, place: usize) -> Option<T> {
        let value = self.places.get_mut(place)?.take()?;
        self.free.push(place);
        self.len -= 1;
        Some(value)
    }

    pub(super) fn into_iter(self) -> impl Iterator<Item = T> {
        self.places.into_iter().flatten()
    }
}
