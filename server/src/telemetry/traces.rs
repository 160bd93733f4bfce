//! Traces (OpenTelemetry): a video is one trace, from the request that begins its upload to the moment it plays, whichever processes work on it.
//! What joins them is W3C's `traceparent`, kept in the upload's row. Spans carry ids, numbers and codes, nothing that somebody wrote.
//!
//! Where nobody set an exporter, all of this does nothing.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use opentelemetry::{
    Context, KeyValue, Value,
    global::{self, BoxedSpan},
    trace::{Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer as _},
};

/// Who measures, in every span.
const TRACER: &str = "millrace";

/// A piece of work; it ends when this is dropped.
pub struct Span(BoxedSpan);

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Span").field(&self.traceparent()).finish()
    }
}

impl Span {
    /// Begins work below `under`, where that names a trace, else below what is done now.
    pub fn begin(name: &'static str, under: Option<&str>) -> Self {
        Self::of(name, SpanKind::Internal, under)
    }

    /// Begins a trace of its own: a request. What a client says of traces is not joined, or it could write into other people's.
    pub fn request(name: String) -> Self {
        let tracer = global::tracer(TRACER);
        Self(tracer.span_builder(name).with_kind(SpanKind::Server).start_with_context(&tracer, &Context::new()))
    }

    /// Work that was done before anybody could measure it, such as waiting.
    pub fn past(name: &'static str, under: Option<&str>, length: Duration) {
        let tracer = global::tracer(TRACER);
        let began = SystemTime::now().checked_sub(length).unwrap_or(SystemTime::UNIX_EPOCH);
        drop(tracer.span_builder(name).with_start_time(began).start_with_context(&tracer, &parent(under)));
    }

    fn of(name: &'static str, kind: SpanKind, under: Option<&str>) -> Self {
        let tracer = global::tracer(TRACER);
        Self(tracer.span_builder(name).with_kind(kind).start_with_context(&tracer, &parent(under)))
    }

    /// Notes a fact: an id, a number or a code.
    pub fn note(&mut self, key: &'static str, value: impl Into<Value>) {
        self.0.set_attribute(KeyValue::new(key, value));
    }

    /// It did not work out; `code` is one of ours.
    pub fn fail(&mut self, code: &'static str) {
        self.0.set_status(Status::error(code));
    }

    /// What joins another process's work to this.
    pub fn traceparent(&self) -> Option<String> {
        write(self.0.span_context())
    }

    /// Makes this what is done now, for as long as a future runs that is given the context.
    pub fn into_context(self) -> Context {
        Context::new().with_span(self.0)
    }
}

/// What joins later work to what is done now.
pub fn current() -> Option<String> {
    write(Context::current().span().span_context())
}

/// Notes how a request was answered.
pub fn answered(request: &Context, status: u16) {
    let span = request.span();
    span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
    if status >= 500 {
        span.set_status(Status::error("server"));
    }
}

fn parent(under: Option<&str>) -> Context {
    match under.and_then(read) {
        Some(remote) => Context::new().with_remote_span_context(remote),
        None => Context::current(),
    }
}

fn write(context: &SpanContext) -> Option<String> {
    let flags = context.trace_flags() & TraceFlags::SAMPLED;
    context.is_valid().then(|| format!("00-{}-{}-{:02x}", context.trace_id(), context.span_id(), flags.to_u8()))
}

/// As [`write`] writes it; anything else is none.
fn read(text: &str) -> Option<SpanContext> {
    let mut fields = text.split('-');
    let (version, trace, span, flags) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    if version != "00" || trace.len() != 32 || span.len() != 16 || flags.len() != 2 || fields.next().is_some() {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
    let context = SpanContext::new(TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?, flags, true, TraceState::NONE);
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_named_as_it_is_read_and_nonsense_is_none() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(read(text).as_ref().and_then(write).as_deref(), Some(text));
        for bad in [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319x-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
        ] {
            assert!(read(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn without_an_exporter_there_is_no_trace() {
        let mut span = Span::begin("test", None);
        span.note("number", 1);
        assert_eq!((span.traceparent(), current()), (None, None));
    }
}
