//! [`Shelf`]: the windows that a worker remembers. Forgetting one costs an evaluation more, nothing else.

use std::sync::Arc;

use dial_sinks::windows::store::WindowKey;
use moka::future::Cache;

use super::window::Window;

/// About how many bytes the windows may take.
const BYTES: u64 = 16 * 1024 * 1024;
/// What a window takes beside its name.
const EACH: usize = 400;

/// Windows by their keys.
#[derive(Debug)]
pub(super) struct Shelf(Cache<WindowKey, Arc<Window>>);

impl Default for Shelf {
    fn default() -> Shelf {
        let weigher = |key: &WindowKey, _: &Arc<Window>| {
            u32::try_from(EACH + 2 * (key.correlation.len() + key.group.len())).unwrap_or(u32::MAX)
        };
        Shelf(Cache::builder().weigher(weigher).max_capacity(BYTES).build())
    }
}

impl Shelf {
    /// The window, a new one if it was never seen or is forgotten.
    pub(super) async fn window(&self, key: &WindowKey) -> Arc<Window> {
        match self.0.get(key).await {
            Some(window) => window,
            None => self.0.get_with(key.clone(), async { Arc::new(Window::new(key.clone())) }).await,
        }
    }
}
