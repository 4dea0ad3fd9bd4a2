//! Text, bytes and records: values with a length in front, which may be null.

use bytes::Bytes;

use super::{DecodeError, DecodeFault, EncodeError, Layout, Reader, Records, Wire, Writer};

fn text_bytes_min(layout: Layout) -> usize {
    if layout.flexible { 1 } else { 2 }
}

fn length_bytes_min(layout: Layout) -> usize {
    if layout.flexible { 1 } else { 4 }
}

impl Wire for Option<String> {
    fn bytes_min(layout: Layout) -> usize {
        text_bytes_min(layout)
    }

    fn read(reader: &mut Reader, layout: Layout) -> Result<Self, DecodeError> {
        match reader.text_length(layout)? {
            Some(length) => Ok(Some(reader.text(length)?)),
            None => Ok(None),
        }
    }

    fn write(&self, writer: &mut Writer, layout: Layout) -> Result<(), EncodeError> {
        writer.text_length(self.as_ref().map(String::len), layout)?;
        writer.put(self.as_deref().unwrap_or_default().as_bytes());
        Ok(())
    }

    #[cfg(feature = "samples")]
    fn sample(sampler: &mut super::sample::Sampler, _: Layout) -> Self {
        sampler.text()
    }
}

impl Wire for String {
    fn bytes_min(layout: Layout) -> usize {
        text_bytes_min(layout)
    }

    fn read(reader: &mut Reader, layout: Layout) -> Result<Self, DecodeError> {
        Option::<String>::read(reader, layout)?.ok_or(DecodeFault::UnexpectedNull.into())
    }

    fn write(&self, writer: &mut Writer, layout: Layout) -> Result<(), EncodeError> {
        writer.text_length(Some(self.len()), layout)?;
        writer.put(self.as_bytes());
        Ok(())
    }

    #[cfg(feature = "samples")]
    fn sample(sampler: &mut super::sample::Sampler, _: Layout) -> Self {
        sampler.text().unwrap_or_default()
    }
}

impl Wire for Option<Bytes> {
    fn bytes_min(layout: Layout) -> usize {
        length_bytes_min(layout)
    }

    fn read(reader: &mut Reader, layout: Layout) -> Result<Self, DecodeError> {
        match reader.length(layout)? {
            Some(length) => Ok(Some(reader.slice(length)?)),
            None => Ok(None),
        }
    }

    fn write(&self, writer: &mut Writer, layout: Layout) -> Result<(), EncodeError> {
        writer.length(self.as_ref().map(Bytes::len), layout)?;
        self.iter().for_each(|bytes| writer.link(bytes));
        Ok(())
    }

    #[cfg(feature = "samples")]
    fn sample(sampler: &mut super::sample::Sampler, _: Layout) -> Self {
        sampler.bytes()
    }
}

impl Wire for Bytes {
    fn bytes_min(layout: Layout) -> usize {
        length_bytes_min(layout)
    }

    fn read(reader: &mut Reader, layout: Layout) -> Result<Self, DecodeError> {
        Option::<Bytes>::read(reader, layout)?.ok_or(DecodeFault::UnexpectedNull.into())
    }

    fn write(&self, writer: &mut Writer, layout: Layout) -> Result<(), EncodeError> {
        writer.length(Some(self.len()), layout)?;
        writer.link(self);
        Ok(())
    }

    #[cfg(feature = "samples")]
    fn sample(sampler: &mut super::sample::Sampler, _: Layout) -> Self {
        sampler.bytes().unwrap_or_default()
    }
}

impl Wire for Option<Records> {
    fn bytes_min(layout: Layout) -> usize {
        length_bytes_min(layout)
    }

    fn read(reader: &mut Reader, layout: Layout) -> Result<Self, DecodeError> {
        Ok(Option::<Bytes>::read(reader, layout)?.map(Records::from))
    }

    fn write(&self, writer: &mut Writer, layout: Layout) -> Result<(), EncodeError> {
        writer.length(self.as_ref().map(Records::bytes), layout)?;
        self.iter().flat_map(Records::pieces).for_each(|piece| writer.link(piece));
        Ok(())
    }

    #[cfg(feature = "samples")]
    fn sample(sampler: &mut super::sample::Sampler, _: Layout) -> Self {
        sampler.bytes().map(Records::from)
    }
}
