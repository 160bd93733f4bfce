//! Sends traces to a collector: OTLP over HTTP, in protobuf. The client is the one that the AWS SDKs bring along; the collector is the operator's
//! choice, so it may be in a private network.

use std::time::Duration;

use bytes::Bytes;
use opentelemetry::{KeyValue, global};
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracerProvider},
};
use tokio::runtime::Handle;

use super::web::Web;

/// What takes longer is lost: traces are worth less than what they are about.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends traces while it is held.
#[derive(Debug)]
pub struct Exporter(SdkTracerProvider);

impl Exporter {
    /// Sends `percent` of 100 traces of this process to the collector at `endpoint`; `role` is what the process does. Has to be called on the runtime.
    ///
    /// # Errors
    /// The endpoint is no URL.
    pub fn install(endpoint: &str, percent: u8, role: &'static str) -> Result<Self, ExporterBuildError> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Client { web: Web::default(), runtime: Handle::current() })
            .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(PATIENCE)
            .build()?;
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(f64::from(percent) / 100.0)));
        let about = [KeyValue::new("service.version", env!("CARGO_PKG_VERSION")), KeyValue::new("millrace.role", role)];
        let resource = Resource::builder().with_service_name("millrace").with_attributes(about).build();
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_sampler(sampler).with_resource(resource).build();
        global::set_tracer_provider(provider.clone());
        Ok(Self(provider))
    }

    /// Sends what is left.
    pub async fn finish(self) {
        // It waits for the runtime's answer, so it must not be what the runtime runs.
        let done = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(PATIENCE)).await;
        if let Ok(Err(error)) = done {
            tracing::debug!(%error, "the last traces could not be sent");
        }
    }
}

/// The exporter works on a thread of its own; requests run where everything else does.
#[derive(Debug, Clone)]
struct Client {
    web: Web,
    runtime: Handle,
}

#[async_trait::async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let web = self.web.clone();
        let sent = self.runtime.spawn(async move {
            let (parts, body) = request.into_parts();
            let headers: Vec<_> = parts.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).collect();
            let url = parts.uri.to_string();
            tokio::time::timeout(PATIENCE, web.send(parts.method.as_str(), &url, &headers, body)).await
        });
        let answer = sent.await???;
        Ok(Response::builder().status(answer.status).body(answer.body)?)
    }
}
