//! Numbers, ids and lists: the values of fixed size, and lists of any value.

use uuid::Uuid;

use super::{DecodeError, DecodeFault, EncodeError, Layout, Reader, Wire, Writer};
use crate::kafka::error_code::ErrorCode;

macro_rules! number {
    ($($type:ty),*) => {$(
        impl Wire for $type {
            #[inline]
            fn bytes_min(_: Layout) -> usize {
                size_of::<$type>()
            }

            #[inline]
            fn read(reader: &mut Reader, _: Layout) -> Result<Self, DecodeError> {
                Ok(<$type>::from_be_bytes(reader.array()?))
            }

            #[inline]
            fn write(&self, writer: &mut Writer, _: Layout) -> Result<(), EncodeError> {
                writer.put(&self.to_be_bytes());
                Ok(())
            }

            #[cfg(feature = "samples")]
            fn sample(sampler: &mut super::sample::Sampler, _: Layout) -> Self {
                sampler.number() as $type
            }
        }
    )*};
}

number!(i8, i16, i32, i64);

impl Wire for bool {
    fn bytes_min(_: Layout) -> usize {
        1
    }

    fn read(reader: &mut Reader, _: Layout) -> Result<Self, DecodeError> {
        Ok(reader.array::<1>()? != [0])
    }

    fn write(&self, writer: &mut Writer, _: Layout) -> Result<(), EncodeError> {
        writer.put(&[u8::from(*self)]);
        Ok(())
    }

    #[cfg(feature = "samples")]
    fn sample(sampler: &mut super::sample::Sampler, _: Layout) -> Self {
        sampler.number() & 1 == 1
    }
}

impl Wire for Uuid {
    fn bytes_min(_: Layout) -> usize {
        16
    }

    fn read(reader: &mut Reader, _: Layout) -> Result<Self, DecodeError> {
        Ok(Uuid::from_bytes(reader.array()?))
    }

    fn write(&self, writer: &mut Writer, _: Layout) -> Result<(), EncodeError> {
        writer.put(self.as_bytes());
        Ok(())
    }

    #[cfg(feature = "samples")]
    fn sample(sampler: &mut super::sample::Sampler, _: Layout) -> Self {
        Uuid::from_u64_pair(sampler.number() as u64, sampler.number() as u64)
    }
}

impl Wire for ErrorCode {
    fn bytes_min(_: Layout) -> usize {
        2
    }

    fn read(reader: &mut Reader, layout: Layout) -> Result<Self, DecodeError> {
        i16::read(reader, layout).map(ErrorCode::from_code)
    }

    fn write(&self, writer: &mut Writer, layout: Layout) -> Result<(), EncodeError> {
        self.code().write(writer, layout)
    }

    #[cfg(feature = "samples")]
    fn sample(sampler: &mut super::sample::Sampler, _: Layout) -> Self {
        ErrorCode::from_code((sampler.number() & 0x7f) as i16)
    }
}

impl<T: Wire> Wire for Option<Vec<T>> {
    fn bytes_min(layout: Layout) -> usize {
        if layout.flexible { 1 } else { 4 }
    }

    fn read(reader: &mut Reader, layout: Layout) -> Result<Self, DecodeError> {
        let Some(count) = reader.length(layout)? else {
            return Ok(None);
        };
        let mut list = reader.list(count, layout)?;
        for _ in 0..count {
            list.push(T::read(reader, layout)?);
        }
        Ok(Some(list))
    }

    fn write(&self, writer: &mut Writer, layout: Layout) -> Result<(), EncodeError> {
        let Some(list) = self else {
            return Ok(writer.length(None, layout)?);
        };
        list.write(writer, layout)
    }

    #[cfg(feature = "samples")]
    fn sample(sampler: &mut super::sample::Sampler, layout: Layout) -> Self {
        if sampler.chance(8) { None } else { Some(Vec::sample(sampler, layout)) }
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn bytes_min(layout: Layout) -> usize {
        if layout.flexible { 1 } else { 4 }
    }

    fn read(reader: &mut Reader, layout: Layout) -> Result<Self, DecodeError> {
        Option::<Vec<T>>::read(reader, layout)?.ok_or(DecodeFault::UnexpectedNull.into())
    }

    fn write(&self, writer: &mut Writer, layout: Layout) -> Result<(), EncodeError> {
        writer.length(Some(self.len()), layout)?;
        self.iter().try_for_each(|element| element.write(writer, layout))
    }

    #[cfg(feature = "samples")]
    fn sample(sampler: &mut super::sample::Sampler, layout: Layout) -> Self {
        (0..sampler.list_length()).map(|_| T::sample(sampler, layout)).collect()
    }
}
