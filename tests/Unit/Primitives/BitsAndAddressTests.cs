using Kmem.Engine.Primitives;
using Xunit;

namespace Kmem.Tests.Unit.Primitives;

public sealed unsafe class BitsAndAddressTests
{
    [Fact]
    public void Logarithms_agree_with_the_definition()
    {
        for (nuint value = 1; value < 5000; value++)
        {
            int floor = Bits.Log2(value);
            Assert.True((nuint)1 << floor <= value && value < (nuint)1 << (floor + 1));
            int ceiling = Bits.Log2Ceiling(value);
            Assert.True((nuint)1 << ceiling >= value && (ceiling == 0 || (nuint)1 << (ceiling - 1) < value));
        }

        Assert.Equal(63, Bits.Log2(nuint.MaxValue));
        Assert.Equal(64, Bits.Log2Ceiling(nuint.MaxValue));
        Assert.Equal(63, Bits.Log2Ceiling((nuint)1 << 63));
    }

    [Fact]
    public void A_low_mask_has_so_many_bits_and_they_are_the_lowest()
    {
        for (int count = 0; count <= 64; count++)
        {
            ulong mask = Bits.LowMask(count);
            Assert.Equal(count, Bits.PopCount(mask));
            Assert.Equal(count, Bits.TrailingZeros(~mask));
        }

        Assert.Equal(~0ul, Bits.LowMask(65));
        Assert.Equal(5, Bits.TrailingZeros(0b1010_0000));
        Assert.Equal(64, Bits.TrailingZeros(0));
    }

    [Theory]
    [InlineData(0ul, 0ul)]
    [InlineData(1ul, 1ul)]
    [InlineData(4095ul, 1ul)]
    [InlineData(4096ul, 1ul)]
    [InlineData(4097ul, 2ul)]
    [InlineData(ulong.MaxValue, 1ul << 52)]
    [InlineData(ulong.MaxValue - 4095, (1ul << 52) - 1)]
    [InlineData(ulong.MaxValue - 4096, (1ul << 52) - 1)]
    public void Pages_for_bytes_round_up_and_never_overflow(ulong bytes, ulong pages) =>
        Assert.Equal((nuint)pages, Address.PagesFor((nuint)bytes));

    [Fact]
    public void Aligning_goes_to_the_nearest_multiple()
    {
        for (nuint alignment = 1; alignment <= 8192; alignment *= 2)
        {
            for (nuint value = 0; value < 3 * alignment && value < 20_000; value += 1 + (alignment / 7))
            {
                nuint up = Address.AlignUp(value, alignment);
                nuint down = Address.AlignDown(value, alignment);
                Assert.True(up >= value && up - value < alignment && up % alignment == 0);
                Assert.True(down <= value && value - down < alignment && down % alignment == 0);
                Assert.Equal(value % alignment == 0, Address.IsAligned((void*)value, alignment));
            }
        }
    }

    [Fact]
    public void Powers_of_two_are_known()
    {
        int found = 0;
        for (nuint value = 0; value <= 4096; value++)
        {
            found += Address.IsPowerOfTwo(value) ? 1 : 0;
        }

        Assert.Equal(13, found);
        Assert.True(Address.IsPowerOfTwo((nuint)1 << 63));
        Assert.False(Address.IsPowerOfTwo(nuint.MaxValue));
        Assert.False(Address.IsPowerOfTwo(0));
    }

    [Fact]
    public void A_compare_exchange_compares_with_the_expected_value()
    {
        ulong word = 5;
        Assert.False(Atomic.CompareExchange(&word, 4, 9));
        Assert.Equal(5ul, word);
        Assert.True(Atomic.CompareExchange(&word, 5, 9));
        Assert.Equal(9ul, word);
        Assert.Equal(9ul, Atomic.Exchange(&word, 11));
        long count = -3;
        Assert.Equal(4, Atomic.Add(&count, 7));
    }
}
