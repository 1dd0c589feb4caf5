using System;
using System.IO;
using Xunit;

namespace Kmem.Tests.Native.Real;

/// <summary>openssl digests, encrypts and signs with the library as without.</summary>
public sealed class OpensslTests
{
    private static readonly int s_bytes = Settings.Choose(8, 200) << 20;

    [Theory]
    [InlineData("dgst", "-sha256")]
    [InlineData("dgst", "-sha512")]
    [InlineData("dgst", "-blake2b512")]
    [InlineData("enc", "-aes-256-cbc", "-K", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", "-iv", "0102030405060708090a0b0c0d0e0f10", "-a")]
    [InlineData("enc", "-chacha20", "-K", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", "-iv", "0102030405060708090a0b0c0d0e0f10", "-a")]
    public void Digests_and_ciphers_are_the_same(params string[] arguments)
    {
        string openssl = Tools.Find("openssl", "openssl");
        using Scene scene = new();
        byte[] data = new byte[s_bytes];
        new Random(1).NextBytes(data);
        File.WriteAllBytes(scene.At("data"), data);
        string[] input = arguments[0] == "enc" ? ["-in", "data"] : ["data"];
        scene.Plain(openssl, [.. arguments, "-out", "plain", .. input]).Run().AssertGood();
        scene.Preloaded(openssl, [.. arguments, "-out", "preloaded", .. input]).Run().AssertGood();
        scene.AssertLoadedIn("openssl");
        byte[] plain = File.ReadAllBytes(scene.At("plain"));
        Assert.True(plain.Length > 64);
        Assert.True(plain.AsSpan().SequenceEqual(File.ReadAllBytes(scene.At("preloaded"))), "The results differ.");
    }

    [Fact]
    public void A_certificate_is_made_and_checked()
    {
        string openssl = Tools.Find("openssl", "openssl");
        using Scene scene = new();
        scene.Preloaded(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key", "-out", "certificate", "-subj", "/CN=test", "-days", "2").Run().AssertGood();
        scene.Preloaded(openssl, "dgst", "-sha256", "-sign", "key", "-out", "signature", "certificate").Run().AssertGood();
        scene.Preloaded(openssl, "x509", "-in", "certificate", "-pubkey", "-noout", "-out", "public").Run().AssertGood();
        Assert.Equal("certificate: OK", scene.Preloaded(openssl, "verify", "-CAfile", "certificate", "certificate").Run().AssertGood().Output.Trim());
        string[] verify = ["dgst", "-sha256", "-verify", "public", "-signature", "signature", "certificate"];
        Assert.Equal("Verified OK", scene.Plain(openssl, verify).Run().AssertGood().Output.Trim());
        Assert.Equal("Verified OK", scene.Preloaded(openssl, verify).Run().AssertGood().Output.Trim());
        scene.AssertLoadedIn("openssl");
    }

    [Fact]
    public void Speed_runs_in_several_processes()
    {
        string openssl = Tools.Find("openssl", "openssl");
        using Scene scene = new();
        string[] kinds = Settings.Choose<string[]>(["-evp", "sha256", "-bytes", "1024"], ["rsa2048", "ecdsap256", "sha256", "aes-256-cbc"]);
        Outcome outcome = scene.Preloaded(openssl, ["speed", "-seconds", "1", "-multi", "2", .. kinds]).Run().AssertGood();
        Assert.Contains("sha256", outcome.Output, StringComparison.OrdinalIgnoreCase);
        scene.AssertLoadedIn("openssl");
    }
}
